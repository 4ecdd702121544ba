//! The server session against clients made by hand: answers, refusals, limits, deadlines.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Peer, command_bytes, connect, feed_with, message_bytes, seconds};
use millrace_flv::amf0::{self, Value};
use millrace_rtmp::chunk::{MAX_MESSAGE, MessageKind, OUT_CHUNK_SIZE, write_shared};
use millrace_rtmp::command::{Command, MAX_COMMAND, code};
use millrace_rtmp::control::{Control, UserControl};
use millrace_rtmp::server::{Event, MAX_APP, MAX_HELD, MAX_NAME, PublishKind, ServerConfig};
use millrace_rtmp::{Error, MAX_DATA, Media, ServerSession};
use proptest::prelude::*;

fn control(control: Control) -> Vec<u8> {
    let mut payload = Vec::new();
    control.encode(&mut payload);
    message_bytes(control.kind(), 0, &payload).to_vec()
}

fn controls(peer: &mut Peer) -> Vec<Control> {
    peer.received().iter().filter_map(|message| Control::decode(message).unwrap()).collect()
}

#[test]
fn connect_is_answered_as_encoders_expect() {
    let mut peer = Peer::new();
    let events = peer.send(&connect("live"));
    let [Event::Connect(asked)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((asked.app.as_str(), asked.tc_url.as_str()), ("live", "rtmp://host/live"));
    assert!(peer.received().is_empty(), "nothing is said before the answer");
    peer.session.accept_connect();
    let messages = peer.received();
    let kinds: Vec<_> = messages.iter().map(|message| message.kind).collect();
    // Set Chunk Size is in there too, between the last two; the reader obeyed it.
    assert_eq!(kinds, [MessageKind::WindowAckSize, MessageKind::SetPeerBandwidth, MessageKind::CommandAmf0]);
    let result = common::command_of(&messages[2]).unwrap();
    assert_eq!((result.name.as_str(), result.transaction), ("_result", 1.0));
    assert_eq!(result.object.get("capabilities"), Some(&Value::Number(31.0)));
    let info = &result.arguments[0];
    assert_eq!(info.get("code").and_then(Value::as_str), Some(code::CONNECT_SUCCESS));
    assert_eq!(info.get("objectEncoding"), Some(&Value::Number(0.0)));
}

#[test]
fn the_answer_to_connect_says_what_of_enhanced_rtmp_is_carried() {
    let mut peer = Peer::new();
    peer.send(&connect("live"));
    peer.session.accept_connect();
    let answer = peer.received().iter().find_map(common::command_of).unwrap();
    let Some(Value::StrictArray(list)) = answer.object.get("fourCcList") else { panic!("{:?}", answer.object) };
    let list: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    assert_eq!(list, ["avc1", "hvc1", "av01", "vp09", "mp4a", ".mp3", "Opus", "fLaC", "ac-3", "ec-3"]);
    for (map, codec) in [("videoFourCcInfoMap", "hvc1"), ("audioFourCcInfoMap", "Opus")] {
        let can_forward = 4.0;
        assert_eq!(answer.object.get(map).unwrap().get(codec), Some(&Value::Number(can_forward)));
    }
    // Multitrack, ModEx, nanoseconds; no request to reconnect.
    assert_eq!(answer.object.get("capsEx"), Some(&Value::Number(14.0)));
}

#[test]
fn a_refused_connect_says_why_and_ends() {
    let mut peer = Peer::new();
    peer.send(&connect("nowhere"));
    peer.session.reject_connect(code::CONNECT_REJECTED, "No such application.");
    let messages = peer.received();
    let error = common::command_of(&messages[0]).unwrap();
    assert_eq!((error.name.as_str(), error.transaction), ("_error", 1.0));
    assert_eq!(error.object, Value::Null);
    // FFmpeg looks for level, code and description of the fourth value.
    let info = &error.arguments[0];
    assert_eq!(info.get("level").and_then(Value::as_str), Some("error"));
    assert_eq!(info.get("code").and_then(Value::as_str), Some(code::CONNECT_REJECTED));
    assert_eq!(info.get("description").and_then(Value::as_str), Some("No such application."));
    assert!(peer.session.is_closing());
    assert_eq!(peer.call("createStream", [""; 0]), [], "what follows is not looked at");
    assert!(peer.received().is_empty());
}

#[test]
fn a_connect_without_an_application_of_text_is_refused() {
    for app in [None, Some(Value::Number(1.0)), Some(Value::Null), Some("a".repeat(MAX_APP + 1).into())] {
        let object = Value::object(app.map(|app| ("app", app)));
        let mut peer = Peer::new();
        let connect = Command { object, ..connect("") };
        let error = peer.try_feed(&command_bytes(&connect)).unwrap_err();
        assert!(matches!(error, Error::BadRequest { command: "connect", .. }));
        assert_eq!(peer.statuses(), ["_error NetConnection.Connect.InvalidApp"]);
    }
    let mut peer = Peer::new();
    assert_eq!(peer.send(&connect(&"a".repeat(MAX_APP))).len(), 1);
    let mut peer = Peer::new();
    let connect = Command { object: Value::Null, ..connect("") };
    assert!(peer.try_feed(&command_bytes(&connect)).is_err());
}

#[test]
fn nothing_comes_before_connect() {
    let mut peer = Peer::new();
    assert_eq!(peer.call("publish", ["key"]), []);
    assert_eq!(peer.statuses(), ["_error NetConnection.Call.Failed"]);
}

#[test]
fn publishing_from_request_to_end() {
    let mut peer = Peer::connected();
    assert_eq!(peer.call("releaseStream", ["key"]), []);
    assert_eq!(peer.call("FCPublish", ["key"]), []);
    assert_eq!(peer.call("createStream", [""; 0]), []);
    assert_eq!(peer.statuses(), ["_result", "onFCPublish NetStream.Publish.Start", "_result", "_result"]);
    let events = peer.call("publish", ["key?user=me", "record"]);
    let [Event::Publish(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((request.target.app.as_str(), request.target.key()), ("live", "key"));
    assert_eq!(request.target.parameter("user"), Some("me"));
    assert_eq!(request.kind, PublishKind::Record);
    peer.session.accept_publish();
    let messages = peer.received();
    let begin = Control::User(UserControl::StreamBegin(1));
    assert_eq!(Control::decode(&messages[0]), Ok(Some(begin)));
    assert_eq!(messages[1].stream_id, 1, "GStreamer waits for the status on the stream it created");
    assert_eq!(common::summary(&common::command_of(&messages[1]).unwrap()), "onStatus NetStream.Publish.Start");

    let media = peer.feed(&message_bytes(MessageKind::Video, 40, b"picture"));
    assert_eq!(media, [Event::Media(Media::Video { timestamp: 40, payload: b"picture"[..].into() })]);
    let media = peer.feed(&message_bytes(MessageKind::Audio, 41, b"sound"));
    assert_eq!(media, [Event::Media(Media::Audio { timestamp: 41, payload: b"sound"[..].into() })]);

    assert_eq!(peer.call("FCUnpublish", ["key"]), [Event::StopPublish]);
    assert_eq!(
        peer.statuses(),
        ["onFCUnpublish NetStream.Unpublish.Success", "_result", "onStatus NetStream.Unpublish.Success"]
    );
    assert_eq!(peer.call("deleteStream", [1.0]), [], "it is over already");
    assert_eq!(peer.feed(&message_bytes(MessageKind::Video, 80, b"late")), []);
}

#[test]
fn each_way_to_end_a_stream_ends_it_once() {
    for name in ["deleteStream", "closeStream"] {
        assert_eq!(Peer::publishing().call(name, [1.0]), [Event::StopPublish]);
        assert_eq!(Peer::playing().call(name, [1.0]), [Event::StopPlay]);
        assert_eq!(Peer::connected().call(name, [1.0]), []);
    }
    assert_eq!(Peer::publishing().call("publish", [false]), [Event::StopPublish]);
    assert_eq!(Peer::playing().call("play", [false]), [Event::StopPlay]);
}

#[test]
fn a_stream_can_follow_another_on_the_same_connection() {
    let mut peer = Peer::publishing();
    peer.call("closeStream", [""; 0]);
    peer.received();
    assert!(matches!(peer.call("play", ["movie"])[..], [Event::Play(_)]));
}

#[test]
fn one_connection_has_one_stream() {
    for mut peer in [Peer::publishing(), Peer::playing()] {
        assert_eq!(peer.call("publish", ["other"]), []);
        assert_eq!(peer.call("play", ["other"]), []);
        assert_eq!(peer.statuses(), ["onStatus NetStream.Publish.BadName", "onStatus NetStream.Play.Failed"]);
    }
}

#[test]
fn a_refused_publisher_gets_a_status_and_its_input_is_thrown_away() {
    let mut peer = Peer::connected();
    peer.call("publish", ["wrong"]);
    peer.session.reject_publish(code::PUBLISH_BAD_NAME, "There is no such key.");
    let messages = peer.received();
    assert_eq!(messages[0].stream_id, 1);
    let status = common::command_of(&messages[0]).unwrap();
    assert_eq!(common::summary(&status), "onStatus NetStream.Publish.BadName");
    assert_eq!(status.arguments[0].get("level").and_then(Value::as_str), Some("error"));
    assert!(peer.session.is_closing());
    assert_eq!(peer.feed(&message_bytes(MessageKind::Video, 0, &[0; 10_000])), []);
    assert_eq!(peer.call("publish", ["guess"]), []);
    assert!(peer.received().is_empty());
}

#[test]
fn names_that_are_no_text_or_too_long_are_refused() {
    for command in ["publish", "play"] {
        for name in [Value::Number(5.0), Value::object([("a", 1.0)]), "n".repeat(MAX_NAME + 1).into()] {
            let mut peer = Peer::connected();
            let error = peer.try_feed(&command_bytes(&Command::new(command, 2.0, [name]))).unwrap_err();
            assert!(matches!(error, Error::BadRequest { .. }), "{error}");
            assert_eq!(peer.statuses().len(), 1);
        }
        let mut peer = Peer::connected();
        assert_eq!(peer.call(command, ["n".repeat(MAX_NAME)]).len(), 1);
    }
}

#[test]
fn obs_with_an_empty_key_is_asked_for_by_instance() {
    let mut peer = Peer::new();
    peer.send(&connect("live/secret"));
    peer.session.accept_connect();
    let events = peer.call("publish", [Value::Null]);
    let [Event::Publish(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((request.target.app.as_str(), request.target.key()), ("live", "secret"));
}

#[test]
fn playing_from_request_to_end() {
    let mut peer = Peer::connected();
    assert_eq!(peer.call("getStreamLength", ["movie"]), []);
    assert_eq!(common::command_of(&peer.received()[0]).unwrap().arguments, [Value::Number(0.0)]);
    let arguments = [Value::from("movie"), Value::Number(-1.0), Value::Number(30.0), Value::Boolean(false)];
    let events = peer.call("play", arguments);
    let [Event::Play(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(request.target.name, "movie");
    assert_eq!((request.start, request.duration, request.reset), (-1.0, 30.0, false));
    peer.session.accept_play();
    assert_eq!(peer.statuses(), ["onStatus NetStream.Play.Start"]);

    // Between the outputs go messages that were encoded for everyone.
    let shared = write_shared(6, 1, 0x0100_0000, MessageKind::Video, &[b"head", &[0; 70_000]], OUT_CHUNK_SIZE).unwrap();
    assert_eq!(shared.len(), 12 + 4 + 4 + 70_000 + 1 + 4);

    peer.session.stream_eof();
    assert_eq!(peer.statuses(), ["onStatus NetStream.Play.UnpublishNotify", "onStatus NetStream.Play.Stop"]);
}

#[test]
fn players_that_reset_are_told_so_first() {
    let mut peer = Peer::connected();
    peer.call("play", ["movie"]);
    peer.session.accept_play();
    assert_eq!(peer.statuses(), ["onStatus NetStream.Play.Reset", "onStatus NetStream.Play.Start"]);
}

#[test]
fn a_player_pauses_and_chooses_what_it_receives() {
    let mut peer = Peer::playing();
    assert_eq!(peer.call("pause", [true]), [Event::Pause(true)]);
    assert_eq!(peer.call("pause", [false]), [Event::Pause(false)]);
    assert_eq!(peer.statuses(), ["onStatus NetStream.Pause.Notify", "onStatus NetStream.Unpause.Notify"]);
    assert_eq!(peer.call("receiveAudio", [false]), [Event::ReceiveAudio(false)]);
    assert_eq!(peer.call("receiveVideo", [true]), [Event::ReceiveVideo(true)]);
    assert_eq!(Peer::publishing().call("pause", [true]), [], "only players");
}

#[test]
fn what_a_live_stream_cannot_do_is_refused_politely() {
    let mut peer = Peer::playing();
    assert_eq!(peer.call("seek", [1000.0]), []);
    assert_eq!(peer.call("play2", [""; 0]), []);
    assert_eq!(peer.statuses(), ["onStatus NetStream.Seek.Failed", "onStatus NetStream.Play.Failed"]);
    assert!(!peer.session.is_closing());
}

#[test]
fn unknown_commands_are_answered_if_they_ask_for_it_and_shown() {
    let mut peer = Peer::connected();
    let long = "x".repeat(1000);
    assert_eq!(peer.call(&long, [""; 0]), [Event::UnknownCommand("x".repeat(64))]);
    assert_eq!(peer.statuses(), ["_error NetConnection.Call.Failed"]);
    let silent = Command::new("noise", 0.0, [""; 0]);
    assert_eq!(peer.send(&silent), [Event::UnknownCommand("noise".into())]);
    assert!(peer.received().is_empty());
    assert_eq!(peer.call("_result", [""; 0]), []);
}

#[test]
fn commands_come_in_amf3_dress_too() {
    let mut peer = Peer::connected();
    let mut payload = vec![0];
    payload.extend(Command::new("createStream", 9.0, [""; 0]).encode());
    assert_eq!(peer.feed(&message_bytes(MessageKind::CommandAmf3, 0, &payload)), []);
    assert_eq!(common::command_of(&peer.received()[0]).unwrap().arguments, [Value::Number(1.0)]);
}

fn data(values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    amf0::encode_all(values, &mut payload);
    payload
}

#[test]
fn metadata_comes_without_its_wrapping() {
    let metadata = [Value::from("onMetaData"), Value::EcmaArray(vec![("width".into(), 160.0.into())])];
    let plain = data(&metadata);
    let wrapped = [data(&["@setDataFrame".into()]), plain.clone()].concat();
    let amf3 = [vec![0], wrapped.clone()].concat();
    let expected = [Event::Media(Media::Data { timestamp: 7, payload: plain.clone().into() })];
    for (kind, payload) in
        [(MessageKind::DataAmf0, &plain), (MessageKind::DataAmf0, &wrapped), (MessageKind::DataAmf3, &amf3)]
    {
        assert_eq!(Peer::publishing().feed(&message_bytes(kind, 7, payload)), expected);
    }
    for nothing in [data(&["@clearDataFrame".into()]), data(&["@setDataFrame".into()]), data(&[5.0.into()]), vec![]] {
        assert_eq!(Peer::publishing().feed(&message_bytes(MessageKind::DataAmf0, 7, &nothing)), []);
    }
}

#[test]
fn the_longest_data_is_taken_and_longer_refused() {
    let payload = |length: usize| {
        let mut payload = data(&["onTextData".into()]);
        payload.resize(length, 5);
        message_bytes(MessageKind::DataAmf0, 0, &payload)
    };
    assert_eq!(Peer::publishing().feed(&payload(MAX_DATA)).len(), 1);
    let error = Peer::publishing().try_feed(&payload(MAX_DATA + 1)).unwrap_err();
    assert!(matches!(error, Error::PayloadTooLong { limit: MAX_DATA, .. }));
}

#[test]
fn empty_media_is_nothing() {
    assert_eq!(Peer::publishing().feed(&message_bytes(MessageKind::Audio, 0, b"")), []);
}

#[test]
fn only_publishers_may_send_long_messages() {
    let declared = |length: usize| {
        let mut header = vec![4, 0, 0, 0];
        header.extend(&(length as u32).to_be_bytes()[1..]);
        header.extend([9, 1, 0, 0, 0]);
        header
    };
    for peer in [Peer::new, Peer::connected, Peer::playing] {
        assert_eq!(peer().feed(&declared(MAX_COMMAND)), []);
        let error = peer().try_feed(&declared(MAX_COMMAND + 1)).unwrap_err();
        assert!(matches!(error, Error::MessageTooLong { limit: MAX_COMMAND, .. }));
    }
    assert_eq!(Peer::publishing().feed(&declared(MAX_MESSAGE)), []);
}

#[test]
fn an_encoder_that_does_not_wait_is_held_and_loses_nothing() {
    let mut peer = Peer::connected();
    let mut input = command_bytes(&Command::new("publish", 3.0, ["key"])).to_vec();
    for timestamp in 0..100 {
        input.extend(message_bytes(MessageKind::Video, timestamp, &[7; 500]));
    }
    assert!(matches!(peer.feed(&input)[..], [Event::Publish(_)]));
    assert!(peer.session.is_waiting());
    assert_eq!(peer.feed(&message_bytes(MessageKind::Video, 100, b"last")), []);
    peer.session.accept_publish();
    let events = peer.feed(&[]);
    let timestamps: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::Media(Media::Video { timestamp, .. }) => *timestamp,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(timestamps, (0..=100).collect::<Vec<_>>());
}

#[test]
fn a_mebibyte_is_held_and_no_more() {
    let mut peer = Peer::connected();
    peer.call("publish", ["key"]);
    assert_eq!(peer.feed(&vec![0; MAX_HELD]), []);
    let error = peer.try_feed(&[0]).unwrap_err();
    assert_eq!(error, Error::TooMuchHeld { length: MAX_HELD + 1, limit: MAX_HELD });
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut peer = Peer::connected();
    let calls = command_bytes(&Command::new("createStream", 2.0, [""; 0])).repeat(1000);
    let error = (0..1000).find_map(|_| peer.try_feed(&calls).err()).expect("a limit");
    assert!(matches!(error, Error::TooMuchOutput { .. }));
    // Taken in time, they have no end.
    let mut peer = Peer::connected();
    for _ in 0..100 {
        assert_eq!(peer.feed(&calls), []);
        assert_eq!(peer.statuses().len(), 1000);
    }
}

#[test]
fn answers_out_of_turn_do_nothing() {
    let mut peer = Peer::connected();
    peer.session.accept_connect();
    peer.session.accept_publish();
    peer.session.accept_play();
    peer.session.reject_publish(code::PUBLISH_DENIED, "");
    peer.session.reject_play(code::PLAY_FAILED, "");
    peer.session.stream_eof();
    assert!(peer.received().is_empty());
    assert!(!peer.session.is_closing());
}

#[test]
fn a_publisher_can_be_cut_off_with_a_reason() {
    let mut peer = Peer::publishing();
    peer.session.close_stream(code::PUBLISH_DENIED, "The key has been reset.");
    assert_eq!(peer.statuses(), ["onStatus NetStream.Publish.Denied"]);
    assert!(peer.session.is_closing());
}

#[test]
fn pings_are_answered_and_windows_heeded() {
    let mut peer = Peer::connected();
    peer.feed(&control(Control::User(UserControl::PingRequest(77))));
    assert_eq!(controls(&mut peer), [Control::User(UserControl::PingResponse(77))]);
    peer.feed(&control(Control::SetPeerBandwidth { window: 5000, limit: 2 }));
    assert_eq!(controls(&mut peer), [Control::WindowAckSize(5000)]);
    peer.feed(&control(Control::SetPeerBandwidth { window: 5000, limit: 2 }));
    assert_eq!(controls(&mut peer), [], "the same window need not be announced again");
    peer.feed(&control(Control::WindowAckSize(10_000)));
    let acknowledged = |controls: Vec<Control>| match controls[..] {
        [] => None,
        [Control::Acknowledgement(number)] => Some(number),
        _ => panic!("{controls:?}"),
    };
    let silence = message_bytes(MessageKind::Other(99), 0, &[0; 1000]);
    let mut last = 0;
    for _ in 0..3 {
        let mut fed = 0;
        let number = loop {
            peer.feed(&silence);
            fed += silence.len() as u32;
            if let Some(number) = acknowledged(controls(&mut peer)) {
                break number;
            }
            assert!(fed < 20_000);
        };
        assert!((10_000..12_000).contains(&(number - last)), "{number} after {last}");
        last = number;
    }
}

#[test]
fn a_window_of_nothing_does_not_drown_the_connection_in_acknowledgements() {
    let mut peer = Peer::connected();
    peer.feed(&control(Control::WindowAckSize(0)));
    peer.received();
    let mut count = 0;
    for byte in message_bytes(MessageKind::Other(99), 0, &[0; 4000]) {
        peer.feed(&[byte]);
        count += controls(&mut peer).len();
    }
    assert!((3..=4).contains(&count), "{count}");
}

const CONFIG: ServerConfig = ServerConfig {
    handshake_timeout: Duration::from_secs(10),
    request_timeout: Duration::from_secs(7),
    idle_timeout: Duration::from_secs(60),
    ping_interval: Duration::from_secs(20),
};

fn expect_timeout(session: &mut ServerSession, at: Duration, what: &str) {
    assert_eq!(session.next_timeout(), at);
    assert_eq!(session.handle_timeout(at - Duration::from_millis(1)), Ok(()));
    match session.handle_timeout(at) {
        Err(Error::Timeout { expected, .. }) => assert_eq!(expected, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_has_a_deadline_however_many_bytes_come() {
    let mut session = ServerSession::new(CONFIG, 1, seconds(100));
    let packet = [3; 1000];
    for second in 101..110 {
        let piece = &packet[..100];
        feed_with(&mut session, piece, seconds(second), |_, _| {}).unwrap();
    }
    expect_timeout(&mut session, seconds(110), "end of the handshake");
}

#[test]
fn a_client_has_to_connect_and_to_ask_for_a_stream() {
    let mut peer = Peer::with(CONFIG);
    expect_timeout(&mut peer.session, seconds(7), "connect");
    let mut peer = Peer::with(CONFIG);
    peer.now = seconds(5);
    peer.send(&connect("live"));
    peer.session.accept_connect();
    expect_timeout(&mut peer.session, seconds(12), "request to publish or play");
}

#[test]
fn a_client_is_not_late_while_it_waits_for_an_answer() {
    let mut peer = Peer::with(CONFIG);
    peer.send(&connect("live"));
    assert_eq!(peer.session.handle_timeout(seconds(30)), Ok(()));
}

#[test]
fn a_silent_publisher_is_too_late() {
    let mut peer = Peer::with(CONFIG);
    peer.send(&connect("live"));
    peer.session.accept_connect();
    peer.call("publish", ["key"]);
    peer.session.accept_publish();
    peer.now = seconds(50);
    peer.feed(&message_bytes(MessageKind::Audio, 0, b"sound"));
    expect_timeout(&mut peer.session, seconds(110), "input");
}

#[test]
fn a_silent_player_is_pinged_and_then_too_late() {
    let mut peer = Peer::playing();
    for second in [20, 40] {
        assert_eq!(peer.session.next_timeout(), seconds(second));
        assert_eq!(peer.session.handle_timeout(seconds(second)), Ok(()));
        let ping = Control::User(UserControl::PingRequest(second as u32 * 1000));
        assert_eq!(controls(&mut peer), [ping]);
    }
    assert!(matches!(peer.session.handle_timeout(seconds(60)), Err(Error::Timeout { expected: "input", .. })));

    let mut peer = Peer::playing();
    peer.session.handle_timeout(seconds(20)).unwrap();
    peer.received();
    peer.now = seconds(21);
    peer.feed(&control(Control::User(UserControl::PingResponse(20_000))));
    assert_eq!(peer.session.next_timeout(), seconds(41));
    assert_eq!(peer.session.handle_timeout(seconds(60)), Ok(()), "it has answered");
}

#[test]
fn a_refused_client_has_a_moment_to_leave() {
    let mut peer = Peer::with(CONFIG);
    peer.send(&connect("live"));
    peer.session.reject_connect(code::CONNECT_REJECTED, "");
    expect_timeout(&mut peer.session, seconds(3), "end of a refused connection");
}

#[test]
fn an_idle_player_costs_little() {
    assert!(size_of::<ServerSession>() <= 448, "{}", size_of::<ServerSession>());
}

#[test]
fn after_an_error_nothing_is_looked_at() {
    let mut peer = Peer::connected();
    assert!(peer.try_feed(&[0xc9]).is_err());
    assert!(peer.session.is_closing());
    assert_eq!(peer.call("createStream", [""; 0]), []);
    assert!(peer.received().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_after_the_handshake_do_no_harm(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..10),
    ) {
        let mut peer = Peer::publishing();
        // An error is final, but feeding on is no reason to panic.
        for piece in pieces {
            let mut input = &piece[..];
            while let Ok(Some(_)) = peer.session.handle_input(&mut input, Duration::ZERO) {}
            peer.session.poll_output();
        }
    }

    #[test]
    fn any_commands_do_no_harm(
        commands in prop::collection::vec((0..COMMANDS.len(), 0..VALUES, 0..VALUES, 0..3_u8), 0..30),
    ) {
        let mut peer = Peer::new();
        for (name, first, second, transaction) in commands {
            let command = Command {
                object: value(first),
                ..Command::new(COMMANDS[name], f64::from(transaction), [value(second), value(first)])
            };
            if feed_with(&mut peer.session, &command_bytes(&command), Duration::ZERO, common::accept).is_err() {
                break;
            }
            peer.received();
        }
    }
}

const COMMANDS: [&str; 18] = [
    "connect",
    "createStream",
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "FCSubscribe",
    "publish",
    "play",
    "play2",
    "pause",
    "seek",
    "receiveAudio",
    "receiveVideo",
    "deleteStream",
    "closeStream",
    "getStreamLength",
    "_checkbw",
    "",
];

const VALUES: usize = 7;

fn value(choice: usize) -> Value {
    match choice {
        0 => Value::Null,
        1 => Value::from("live"),
        2 => Value::Number(f64::NAN),
        3 => Value::Boolean(false),
        4 => Value::from(""),
        _ => Value::object([("app", "live")]),
    }
}
