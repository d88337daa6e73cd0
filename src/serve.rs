//! `oneport serve`: look at the host, start the engine and the signaling in front of it, say what runs, and end in order.

use crate::config::Config;
use crate::host::{self, Demand, Facts, Obstacle, Warning};
use crate::ports::Port;
use crate::signals::{self, Termination};
use crate::startup::StartUp;
use futures_channel::oneshot;
use futures_lite::future;
use glommio::timer::sleep;
use glommio::{LocalExecutorBuilder, Placement, spawn_local};
use oneport_engine::control::{Command, Event, Reply};
use oneport_engine::{EXECUTOR_IO_MEMORY, Engine};
use oneport_signaling::http::{Deadlines, HttpConfig, Limits, Listener};
use oneport_signaling::{EnginePort, Signaling, SignalingConfig};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The host, or the start, does not allow it.
const OBSTACLE: u8 = 1;
/// How long peers and requests have for their goodbyes. The whole stop is over within three seconds.
const STOP_TIME: Duration = Duration::from_millis(2500);

/// Runs until a signal ends it.
pub(crate) fn run(config: Config) -> ExitCode {
    match prepare(&config).and_then(|ready| serve(&config, ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(obstacle) => {
            say(io::stderr(), &format!("oneport: {obstacle}\n"));
            ExitCode::from(OBSTACLE)
        }
    }
}

/// What was found and decided before anything started.
#[derive(Debug)]
struct Ready {
    http: SocketAddr,
    media: SocketAddr,
    shards: usize,
    cores: usize,
    warnings: Vec<Warning>,
}

fn prepare(config: &Config) -> Result<Ready, Obstacle> {
    let facts = Facts::read();
    facts.allow_start()?;
    let http = Port::Http.claim(config.http.listen.resolve(facts.ipv6))?;
    let media = Port::Media.claim(config.media.listen.resolve(facts.ipv6))?;
    let shards = config.media.shards.unwrap_or(facts.cores).get();
    let warnings = host::warnings(&facts, &Demand::of(config, shards));
    Ok(Ready { http, media, shards, cores: facts.cores.get(), warnings })
}

fn serve(config: &Config, ready: Ready) -> Result<(), Obstacle> {
    // Before any thread is pinned: the one that waits for signals would inherit the affinity.
    let terminated = terminations()?;
    let control = LocalExecutorBuilder::new(Placement::Unbound)
        .name("control")
        .io_memory(EXECUTOR_IO_MEMORY)
        .make()
        .map_err(|error| Obstacle(format!("the control core's executor does not start: {error}")))?;
    control.run(run_control(config, ready, terminated))
}

async fn run_control(
    config: &Config,
    ready: Ready,
    terminated: oneshot::Receiver<Termination>,
) -> Result<(), Obstacle> {
    let listener = Listener::bind(ready.http).map_err(|error| Obstacle(error.to_string()))?;
    let engine = Engine::start(engine_config(config, &ready)).map_err(|error| Obstacle(error.to_string()))?;
    let engine = Rc::new(engine);
    let signaling = Signaling::new(signaling_config(config), Rc::new(EngineDoor(Rc::clone(&engine))));
    let server = signaling.server(listener);
    let shutdown = server.shutdown();
    let http = spawn_local(server.run());
    let events = spawn_local(follow(Rc::clone(&engine), Rc::clone(&signaling)));
    announce(config, &ready, &engine);

    let termination = terminated.await.map_err(|_| Obstacle("the thread that waits for signals is gone".to_owned()))?;
    tracing::info!("{termination}: stopping");
    signaling.begin_stop();
    shutdown.begin();
    engine.submit(Command::Shutdown);
    let orderly = async {
        events.await;
        http.await;
        true
    };
    let too_late = async {
        sleep(STOP_TIME).await;
        false
    };
    if future::or(orderly, too_late).await {
        engine.join();
    } else {
        tracing::warn!("not everything came to its end in {STOP_TIME:?}");
    }
    Ok(())
}

/// Takes the engine's events to signaling until the engine has stopped.
async fn follow(engine: Rc<Engine>, signaling: Rc<Signaling>) {
    loop {
        let event = engine.event().await;
        let stopped = matches!(event, Event::Stopped);
        signaling.handle_event(event);
        if stopped {
            return;
        }
    }
}

struct EngineDoor(Rc<Engine>);

impl EnginePort for EngineDoor {
    fn submit(&self, command: Command) -> Reply {
        self.0.submit(command)
    }
}

fn engine_config(config: &Config, ready: &Ready) -> oneport_engine::config::Config {
    oneport_engine::config::Config {
        media: ready.media,
        shards: ready.shards,
        max_sessions: config.media.max_sessions,
        setup_timeout: config.session.setup_timeout,
        dtls_timeout: config.session.dtls_timeout,
        consent_timeout: config.session.consent_timeout,
        receive_buffer: config.media.receive_buffer_bytes,
        send_buffer: config.media.send_buffer_bytes,
        history_bytes: config.media.history_bytes,
        history_age: config.media.history,
        start_group: config.media.start_group,
        keyframe_interval: config.media.keyframe_interval,
        viewers_may_send: config.data.viewers_may_send,
        coalesce_max: config.media.coalesce_max,
        gso: !config.media.is_plain,
        publisher_max_bitrate_bps: u64::from(config.media.remb_kbps) * 1000,
        ..oneport_engine::config::Config::default()
    }
}

fn signaling_config(config: &Config) -> SignalingConfig {
    let codecs = [&config.media.audio_codecs[..], &config.media.video_codecs[..]].concat();
    SignalingConfig {
        http: HttpConfig {
            max_connections: config.http.max_connections,
            limits: Limits { body: config.http.max_body_bytes, ..Limits::default() },
            deadlines: Deadlines {
                head: config.http.header_timeout,
                body: config.http.body_timeout,
                idle: config.http.idle_timeout,
                ..Deadlines::default()
            },
        },
        public_addresses: config.media.public_addresses.clone(),
        codecs,
        stream_rules: config.streams.clone(),
        video_bitrate: config.media.video_bitrate,
        access: config.auth.clone(),
        limits: config.limits,
        trusted_proxies: config.http.trusted_proxies.clone(),
        allowed_origins: config.http.allowed_origins.clone(),
        redirects: config.redirect.clone(),
        ice_servers: config.ice.clone(),
        whip: config.whip,
        whep: config.whep,
        data: config.data.enabled,
        echo: config.echo,
    }
}

fn terminations() -> Result<oneshot::Receiver<Termination>, Obstacle> {
    let (tell, asked) = oneshot::channel();
    let forward = move |termination| {
        // Nobody listens any more only when the server is stopping already.
        let _ = tell.send(termination);
    };
    signals::on_terminate(forward).map_err(|error| Obstacle(format!("signals cannot be handled: {error}")))?;
    Ok(asked)
}

fn announce(config: &Config, ready: &Ready, engine: &Engine) {
    let facts = engine.facts();
    let local = engine.addresses(Instant::now());
    let start_up = StartUp {
        http: ready.http,
        media: facts.media,
        shards: ready.shards,
        cores: ready.cores,
        announced: announced(&config.media.public_addresses, local),
        gso: facts.gso,
        gro: facts.gro,
    };
    say(io::stdout(), &start_up.to_string());
    for warning in ready.warnings.iter().chain(&start_up.warnings()) {
        say(io::stderr(), &format!("warning: {warning}\n"));
    }
}

/// The public addresses stand for those of the interfaces; loopback is told to clients that came over it.
fn announced(public: &[IpAddr], local: Vec<IpAddr>) -> Vec<IpAddr> {
    if public.is_empty() {
        return local;
    }
    let loopback = local.into_iter().filter(|ip| ip.is_loopback() && !public.contains(ip));
    public.iter().copied().chain(loopback).collect()
}

/// A terminal that was closed, or a full disk below it, is no reason not to serve.
fn say(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}
