//! SIGINT and SIGTERM. The first asks for an orderly end, a second one ends the process where it stands: whoever presses Ctrl-C
//! twice does not want to wait for a peer that does not answer.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// What asked for the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Termination {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: systemd, `kill`.
    Terminate,
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Termination::Interrupt => "SIGINT",
            Termination::Terminate => "SIGTERM",
        })
    }
}

/// Calls `callback` once, on a thread of its own, when the first signal comes. The second ends the process at once with 128 and its
/// number (130, 143), even while the callback blocks.
///
/// # Errors
/// The kernel refuses a handler, the pipe or the thread.
pub(crate) fn on_terminate(callback: impl FnOnce(Termination) + Send + 'static) -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    // In this order, or the first signal would already see the flag.
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
        flag::register(signal, Arc::clone(&asked))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            callback(if signal == SIGINT { Termination::Interrupt } else { Termination::Terminate });
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::env;
    use std::process::Command;
    use std::sync::mpsc;

    /// Says to this very test, run in a process of its own, which signal comes second.
    const SECOND: &str = "ONEPORT_TEST_SECOND_SIGNAL";

    #[test]
    fn a_second_signal_ends_the_process_even_while_the_callback_blocks() {
        if let Ok(second) = env::var(SECOND) {
            signal_twice(second.parse().expect("a signal"));
        }
        for (second, code) in [(SIGINT, 130), (SIGTERM, 143)] {
            let name = "signals::tests::a_second_signal_ends_the_process_even_while_the_callback_blocks";
            let mut process = Command::new(env::current_exe().expect("a path"));
            let output = process.args(["--exact", name]).env(SECOND, second.to_string()).output().expect("it starts");
            assert_eq!(output.status.code(), Some(code));
        }
    }

    fn signal_twice(second: i32) -> ! {
        let (tell, called) = mpsc::channel();
        let block = move |termination| {
            tell.send(termination).expect("the test waits");
            loop {
                thread::park();
            }
        };
        on_terminate(block).expect("handlers");
        raise(SIGTERM).expect("raised");
        assert_eq!(called.recv(), Ok(Termination::Terminate));
        raise(second).expect("raised");
        unreachable!("the second signal ends the process")
    }
}
