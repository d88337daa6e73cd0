//! What is left of an association says and hears goodbye as OpenSSL does.

use super::*;

const LONG: Duration = Duration::from_secs(5);

/// A connected pair whose server, or client, has retired.
fn retired(pair: &mut Pair, server: bool) -> Remnant {
    pair.run(LONG);
    let whole = if server { &mut pair.server } else { &mut pair.client };
    whole.remnant().expect("it is connected and quiet")
}

#[test]
fn either_end_can_retire_and_say_goodbye_to_the_other() {
    for server in [true, false] {
        let mut pair = Pair::new(&PATIENT, &PATIENT);
        let mut remnant = retired(&mut pair, server);
        assert!(remnant.poll_transmit().is_none());
        remnant.close();
        let goodbye = remnant.poll_transmit().unwrap();
        let other = if server { &mut pair.client } else { &mut pair.server };
        other.handle_datagram(pair.now, &goodbye);
        assert!(matches!(other.poll_event(), Some(DtlsEvent::Closed)));
        remnant.close();
        assert!(remnant.poll_transmit().is_none(), "once is enough");
    }
}

#[test]
fn it_hears_goodbye_and_answers() {
    for server in [true, false] {
        let mut pair = Pair::new(&PATIENT, &PATIENT);
        let mut remnant = retired(&mut pair, server);
        let other = if server { &mut pair.client } else { &mut pair.server };
        other.close(pair.now);
        let goodbye = other.poll_transmit().unwrap();
        for at in 0..goodbye.len() {
            let mut forged = goodbye.clone();
            forged[at] ^= 1;
            remnant.handle_datagram(&forged);
            remnant.handle_datagram(&goodbye[..at]);
        }
        assert!(remnant.poll_event().is_none(), "nobody else can end it");
        remnant.handle_datagram(&goodbye);
        assert!(matches!(remnant.poll_event(), Some(DtlsEvent::Closed)));
        assert!(remnant.poll_transmit().is_some());
    }
}

#[test]
fn what_is_not_connected_or_carries_data_does_not_retire() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    assert!(pair.server.remnant().is_none());
    pair.run(LONG);
    pair.server.accept_data();
    assert!(pair.server.remnant().is_none());
}

#[test]
fn rubbish_and_late_handshake_records_are_passed_over() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    let mut remnant = retired(&mut pair, true);
    for (_, datagram) in &pair.sent {
        remnant.handle_datagram(datagram);
    }
    for len in 0..64 {
        remnant.handle_datagram(&vec![21; len]);
    }
    assert!(remnant.poll_event().is_none() && remnant.poll_transmit().is_none());
}
