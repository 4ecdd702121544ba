//! The chunk stream as its peers see it: round trips, limits, and the habits of encoders.
#![allow(clippy::unwrap_used)]

use bytes::{BufMut, Bytes, BytesMut};
use millrace_rtmp::Error;
use millrace_rtmp::chunk::{
    ChunkReader, ChunkWriter, MAX_CHUNK_STREAMS, MAX_MESSAGE, MAX_UNFINISHED, Message, MessageKind, OUT_CHUNK_SIZE,
    write_shared,
};
use proptest::prelude::*;

fn read_all(reader: &mut ChunkReader, mut input: &[u8]) -> Result<Vec<Message>, Error> {
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
        messages.push(message);
    }
    assert!(input.is_empty(), "input is consumed to its end");
    Ok(messages)
}

fn read_in_pieces(input: &[u8], piece: usize) -> Vec<Message> {
    let mut reader = ChunkReader::new();
    input.chunks(piece).flat_map(|bytes| read_all(&mut reader, bytes).unwrap()).collect()
}

fn video(timestamp: u32, payload: impl Into<Bytes>) -> Message {
    Message { kind: MessageKind::Video, timestamp, stream_id: 1, payload: payload.into() }
}

/// A whole header, without an extended timestamp.
fn header(chunk_stream: u8, timestamp: u32, length: usize, kind: u8) -> Vec<u8> {
    let mut out = vec![chunk_stream];
    out.put_uint(timestamp.into(), 3);
    out.put_uint(length as u64, 3);
    out.put_slice(&[kind, 1, 0, 0, 0]);
    out
}

fn control(kind: u8, number: u32) -> Vec<u8> {
    let mut out = header(2, 0, 4, kind);
    out.extend(number.to_be_bytes());
    out
}

#[test]
fn the_four_header_types_say_less_and_less() {
    let mut input = header(4, 1000, 3, 9);
    input.extend(b"one");
    input.extend(b"\x44\x00\x00\x28\x00\x00\x02\x08ab");
    input.extend(b"\x84\x00\x00\x14cd");
    input.extend(b"\xc4ef");
    let audio = |timestamp, payload: &'static [u8]| Message { kind: MessageKind::Audio, ..video(timestamp, payload) };
    let expected = [video(1000, &b"one"[..]), audio(1040, b"ab"), audio(1060, b"cd"), audio(1080, b"ef")];
    for piece in [1, 2, 3, 5, 100] {
        assert_eq!(read_in_pieces(&input, piece), expected);
    }
}

/// Section 5.3.1.2.4: a type 3 after a type 0 repeats the whole timestamp as the difference.
#[test]
fn type_3_after_type_0_adds_its_timestamp() {
    let mut input = header(4, 26, 1, 8);
    input.extend(b"a\xc4b\xc4c");
    let timestamps: Vec<_> = read_in_pieces(&input, 100).iter().map(|message| message.timestamp).collect();
    assert_eq!(timestamps, [26, 52, 78]);
}

#[test]
fn chunk_stream_ids_have_three_forms() {
    for id in [2, 63, 64, 319, 320, 65_599] {
        let bytes = write_shared(id, 1, 5, MessageKind::Video, &[&[7; 130]], 128).unwrap();
        for piece in [1, 100] {
            assert_eq!(read_in_pieces(&bytes, piece), [video(5, vec![7; 130])], "{id}");
        }
    }
    // 64 to 319 have two forms, which name the same stream: the second chunk goes on in the other.
    let mut input = vec![0, 6];
    input.extend(&header(0, 5, 130, 9)[1..]);
    input.extend([7; 128]);
    input.extend([0xc1, 6, 0, 7, 7]);
    assert_eq!(read_in_pieces(&input, 3), [video(5, vec![7; 130])]);
}

#[test]
fn librtmp_opens_its_control_stream_with_type_1() {
    let input = b"\x42\x00\x00\x00\x00\x00\x06\x04\x00\x03\x00\x00\x00\x00";
    let messages = read_in_pieces(input, 100);
    assert_eq!(messages[0].kind, MessageKind::UserControl);
    assert_eq!((messages[0].stream_id, messages[0].timestamp), (0, 0));
}

#[test]
fn a_first_chunk_that_repeats_nothing_is_an_error() {
    for format in [2, 3] {
        let error = read_all(&mut ChunkReader::new(), &[format << 6 | 4, 0, 0, 0]).unwrap_err();
        assert_eq!(error, Error::NoPreviousHeader { position: 0, chunk_stream: 4, format });
    }
}

/// One message of 300 bytes at an extended timestamp, in chunks of 128, then another of type 3.
fn extended(repeats: bool, payload: &[u8; 300], timestamp: u32) -> Vec<u8> {
    let mut input = header(4, 0xff_ffff, 300, 9);
    input.put_u32(timestamp);
    input.extend(&payload[..128]);
    for rest in [&payload[128..256], &payload[256..], &payload[..128]] {
        input.push(0xc4);
        if repeats {
            input.put_u32(timestamp);
        }
        input.extend(rest);
    }
    for rest in [&payload[128..256], &payload[256..]] {
        input.push(0xc4);
        if repeats {
            input.put_u32(timestamp);
        }
        input.extend(rest);
    }
    input
}

#[test]
fn extended_timestamps_are_repeated_or_not_on_type_3() {
    let timestamp = 0x0102_0304_u32;
    let mut payload = [0; 300];
    payload.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n as u8);
    // Chunks that begin as the timestamp does, and then differ.
    payload[128..131].copy_from_slice(&[1, 2, 3]);
    payload[256..259].copy_from_slice(&[1, 2, 9]);
    let expected = [video(timestamp, payload.to_vec()), video(timestamp.wrapping_mul(2), payload.to_vec())];
    for repeats in [true, false] {
        for piece in [1, 2, 3, 7, 1000] {
            let input = extended(repeats, &payload, timestamp);
            assert_eq!(read_in_pieces(&input, piece), expected, "{repeats} {piece}");
        }
    }
}

/// The last chunk of a message is shorter than the timestamp and equal to its start, and what
/// follows is equal too, up to the last byte: only that tells payload from timestamp.
#[test]
fn an_end_shorter_than_the_timestamp_it_resembles_is_payload() {
    let timestamp = 0x0144_0001_u32;
    let mut input = header(4, 0xff_ffff, 129, 9);
    input.put_u32(timestamp);
    input.extend([7; 128]);
    input.extend([0xc4, 1]);
    // Type 1 on the same stream: begins 44 00 00.
    input.extend([0x44, 0, 0, 5, 0, 0, 1, 8, 9]);
    let mut payload = vec![7; 128];
    payload.push(1);
    for piece in [1, 2, 3, 4, 5, 1000] {
        let messages = read_in_pieces(&input, piece);
        assert_eq!(messages[0], video(timestamp, payload.clone()));
        assert_eq!(messages[1].timestamp, timestamp + 5);
        assert_eq!(messages[1].payload, [9][..]);
    }
}

#[test]
fn the_chunk_size_changes_where_the_peer_says_so() {
    for (declared, size) in [(0, 1), (1, 1), (5, 5), (0x7fff_ffff, 0x7fff_ffff), (0x8000_0005, 5)] {
        let mut reader = ChunkReader::new();
        read_all(&mut reader, &control(1, declared)).unwrap();
        assert_eq!(reader.chunk_size(), size);
        let mut input = header(4, 0, 7, 9);
        for (index, chunk) in b"payload".chunks(size).enumerate() {
            if index > 0 {
                input.push(0xc4);
            }
            input.extend(chunk);
        }
        assert_eq!(read_all(&mut reader, &input).unwrap(), [video(0, &b"payload"[..])]);
    }
    let error = read_all(&mut ChunkReader::new(), &[header(2, 0, 3, 1), vec![0; 3]].concat());
    assert!(matches!(error, Err(Error::Malformed { kind: MessageKind::SetChunkSize, length: 3, .. })));
}

#[test]
fn an_aborted_message_is_forgotten() {
    let mut input = header(4, 0, 200, 9);
    input.extend([1; 128]);
    input.extend(control(2, 4));
    input.extend(header(4, 7, 2, 9));
    input.extend(b"ok");
    assert_eq!(read_in_pieces(&input, 9), [video(7, &b"ok"[..])]);
    // Of a stream that is not there, nothing is.
    assert_eq!(read_in_pieces(&control(2, 9), 9), []);
}

#[test]
fn a_new_header_replaces_an_unfinished_message() {
    let mut input = header(4, 0, 200, 9);
    input.extend([1; 128]);
    input.extend(header(4, 7, 2, 9));
    input.extend(b"ok");
    assert_eq!(read_in_pieces(&input, 9), [video(7, &b"ok"[..])]);
}

fn tag(kind: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.put_uint(payload.len() as u64, 3);
    out.put_uint((timestamp & 0xff_ffff).into(), 3);
    out.put_u8((timestamp >> 24) as u8);
    out.put_uint(9, 3);
    out.put_slice(payload);
    out.put_u32(payload.len() as u32 + 11);
    out
}

fn aggregate(timestamp: u32, tags: &[Vec<u8>]) -> Bytes {
    let payload = tags.concat();
    write_shared(4, 1, timestamp, MessageKind::Aggregate, &[&payload], OUT_CHUNK_SIZE).unwrap()
}

fn read_aggregate(bytes: &[u8]) -> Result<Vec<Message>, Error> {
    let mut reader = ChunkReader::new();
    read_all(&mut reader, &control(1, OUT_CHUNK_SIZE))?;
    read_all(&mut reader, bytes)
}

#[test]
fn an_aggregate_is_its_messages_with_times_from_its_own() {
    let tags = [tag(9, 0x01ff_fff0, b"v"), tag(20, 0, b"command"), tag(8, 0x0200_0004, b"a")];
    let messages = read_aggregate(&aggregate(u32::MAX, &tags)).unwrap();
    assert_eq!(messages.len(), 2, "a command has no place in an aggregate");
    assert_eq!(messages[0], video(u32::MAX, &b"v"[..]));
    let audio = Message { kind: MessageKind::Audio, ..video(19, &b"a"[..]) };
    assert_eq!(messages[1], audio);
}

#[test]
fn an_aggregate_may_lack_its_last_back_pointer_but_nothing_else() {
    let whole = tag(9, 0, b"video");
    let without = whole[..whole.len() - 4].to_vec();
    assert_eq!(read_aggregate(&aggregate(1, &[without])).unwrap().len(), 1);
    let cut = whole[..whole.len() - 5].to_vec();
    assert!(matches!(read_aggregate(&aggregate(1, &[cut])), Err(Error::Malformed { .. })));
}

#[test]
fn sixty_four_chunk_streams_and_no_more() {
    let mut reader = ChunkReader::new();
    for id in 0..MAX_CHUNK_STREAMS as u32 {
        let bytes = write_shared(id + 2, 1, 0, MessageKind::Video, &[b"a"], 128).unwrap();
        assert_eq!(read_all(&mut reader, &bytes).unwrap().len(), 1);
    }
    let bytes = write_shared(1000, 1, 0, MessageKind::Video, &[b"a"], 128).unwrap();
    let position = 64 * 13 + 2;
    assert_eq!(read_all(&mut reader, &bytes), Err(Error::TooManyChunkStreams { position, chunk_stream: 1000 }));
}

#[test]
fn the_longest_message_is_read_and_a_longer_one_not_written() {
    let longest = vec![0xaa; MAX_MESSAGE];
    let bytes = write_shared(6, 1, 0, MessageKind::Video, &[&longest], OUT_CHUNK_SIZE).unwrap();
    let mut reader = ChunkReader::new();
    read_all(&mut reader, &control(1, OUT_CHUNK_SIZE)).unwrap();
    assert_eq!(read_all(&mut reader, &bytes).unwrap()[0].payload, longest);
    assert_eq!(
        write_shared(6, 1, 0, MessageKind::Video, &[&longest, b"x"], OUT_CHUNK_SIZE),
        Err(Error::PayloadTooLong { kind: MessageKind::Video, length: MAX_MESSAGE + 1, limit: MAX_MESSAGE })
    );
}

#[test]
fn a_lower_limit_holds_to_the_byte() {
    let read = |length| {
        let mut reader = ChunkReader::new();
        reader.set_max_message(1000);
        let payload = vec![0; length];
        let bytes = write_shared(6, 1, 0, MessageKind::Video, &[&payload], 128).unwrap();
        read_all(&mut reader, &bytes)
    };
    assert_eq!(read(1000).unwrap().len(), 1);
    let kind = MessageKind::Video;
    let error = Error::MessageTooLong { position: 0, kind, length: 1001, limit: 1000 };
    assert_eq!(read(1001), Err(error));
}

#[test]
fn a_lower_limit_holds_for_headers_that_repeat_a_length() {
    let mut reader = ChunkReader::new();
    let bytes = write_shared(6, 1, 0, MessageKind::Video, &[&[0; 100]], 128).unwrap();
    read_all(&mut reader, &bytes).unwrap();
    reader.set_max_message(99);
    assert!(matches!(read_all(&mut reader, &[0xc6]), Err(Error::MessageTooLong { length: 100, .. })));
}

#[test]
fn a_declared_length_allocates_nothing_and_memory_follows_what_comes() {
    let mut reader = ChunkReader::new();
    read_all(&mut reader, &control(1, 0x7fff_ffff)).unwrap();
    read_all(&mut reader, &header(4, 0, MAX_MESSAGE, 9)).unwrap();
    assert_eq!(reader.allocated(), 0);
    let mut received = 0;
    for piece in [1, 10, 100, 1000, 100_000] {
        read_all(&mut reader, &vec![0; piece]).unwrap();
        received += piece;
        assert!(reader.allocated() <= 2 * received, "{} for {received}", reader.allocated());
    }
}

/// Each might have been taken to be what all of the rest belongs to.
#[test]
fn many_messages_begun_in_one_piece_take_no_more_than_has_come() {
    let mut input = Vec::new();
    for chunk_stream in 3..63 {
        input.extend(header(chunk_stream, 0, 0xff_ffff, 9));
        input.extend([7; 128]);
    }
    let mut reader = ChunkReader::new();
    assert_eq!(read_all(&mut reader, &input).unwrap(), []);
    assert!(reader.allocated() <= 3 * input.len(), "{} for {}", reader.allocated(), input.len());
}

#[test]
fn unfinished_messages_are_bounded_together() {
    let mut reader = ChunkReader::new();
    read_all(&mut reader, &control(1, MAX_MESSAGE as u32 - 1)).unwrap();
    // The first two lack their last byte, which would be a chunk of its own.
    for id in [4, 5] {
        read_all(&mut reader, &header(id, 0, MAX_MESSAGE, 9)).unwrap();
        read_all(&mut reader, &vec![0; MAX_MESSAGE - 1]).unwrap();
    }
    let left = MAX_UNFINISHED - 2 * (MAX_MESSAGE - 1);
    read_all(&mut reader, &header(6, 0, left + 2, 9)).unwrap();
    read_all(&mut reader, &vec![0; left]).unwrap();
    let error = read_all(&mut reader, &[0]).unwrap_err();
    assert!(matches!(error, Error::TooMuchUnfinished { .. }));
}

#[test]
fn the_writer_uses_the_smallest_header() {
    let mut writer = ChunkWriter::new();
    let mut length = |timestamp, stream, kind, payload: &[u8]| {
        let mut out = BytesMut::new();
        writer.write(&mut out, 4, stream, timestamp, kind, payload).unwrap();
        out.len() - payload.len()
    };
    assert_eq!(length(100, 1, MessageKind::Video, b"abc"), 12);
    assert_eq!(length(140, 1, MessageKind::Audio, b"abc"), 8);
    assert_eq!(length(160, 1, MessageKind::Audio, b"abc"), 4);
    assert_eq!(length(180, 1, MessageKind::Audio, b"abc"), 1);
    assert_eq!(length(180, 1, MessageKind::Audio, b"abcd"), 8);
    assert_eq!(length(179, 1, MessageKind::Audio, b"abcd"), 12, "a step back");
    assert_eq!(length(179, 2, MessageKind::Audio, b"abcd"), 12, "another stream");
    assert_eq!(length(0x0200_0000, 2, MessageKind::Audio, b"abcd"), 4 + 4, "a long step");
}

#[derive(Debug, Clone)]
struct Sent {
    chunk_stream: u32,
    message: Message,
}

fn any_message() -> impl Strategy<Value = Sent> {
    let timestamp = prop_oneof![0..200_u32, 0xff_fff0..0x100_0010_u32, any::<u32>()];
    let kind = prop_oneof![
        Just(MessageKind::Audio),
        Just(MessageKind::Video),
        Just(MessageKind::DataAmf0),
        Just(MessageKind::Other(99)),
    ];
    let length = prop_oneof![Just(0_usize), 1..20_usize, 100..600_usize];
    let chunk_stream = prop_oneof![3..6_u32, Just(100), Just(400)];
    (chunk_stream, timestamp, kind, 0..3_u32, length, any::<u8>()).prop_map(
        |(chunk_stream, timestamp, kind, stream_id, length, fill)| Sent {
            chunk_stream,
            message: Message {
                kind,
                timestamp,
                stream_id,
                payload: (0..length).map(|n| (n as u8).wrapping_mul(fill)).collect(),
            },
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        messages in prop::collection::vec(any_message(), 1..20),
        chunk_size in prop_oneof![Just(1_u32), 2..200_u32, Just(OUT_CHUNK_SIZE)],
        piece in 1..1000_usize,
    ) {
        let mut writer = ChunkWriter::new();
        let mut out = BytesMut::from(&control(1, chunk_size)[..]);
        writer.set_chunk_size(chunk_size);
        for Sent { chunk_stream, message } in &messages {
            let Message { kind, timestamp, stream_id, payload } = message;
            writer.write(&mut out, *chunk_stream, *stream_id, *timestamp, *kind, payload).unwrap();
        }
        let expected: Vec<_> = messages.into_iter().map(|sent| sent.message).collect();
        prop_assert_eq!(read_in_pieces(&out, piece), expected);
    }

    /// Messages of several chunk streams, their chunks mixed as a multiplexing sender may.
    #[test]
    fn interleaved_chunks_are_put_together(
        payloads in prop::collection::vec((1..700_usize, 0..0x200_0000_u32), 2..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 50),
        piece in 1..1000_usize,
    ) {
        let mut queues: Vec<Vec<Vec<u8>>> = Vec::new();
        for (id, (length, timestamp)) in (4..).zip(&payloads) {
            let payload = vec![id; *length];
            let id = u32::from(id);
            let whole = write_shared(id, 1, *timestamp, MessageKind::Video, &[&payload], 128);
            let extra = if *timestamp >= 0xff_ffff { 4 } else { 0 };
            let mut chunks = Vec::new();
            let whole = whole.unwrap();
            let mut rest = &whole[..];
            let mut header = 12 + extra;
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(header + 128));
                chunks.push(chunk.to_vec());
                rest = after;
                header = 1 + extra;
            }
            chunks.reverse();
            queues.push(chunks);
        }
        let mut out = Vec::new();
        for index in order {
            let queue = index.get_mut(&mut queues);
            out.extend(queue.pop().unwrap_or_default());
        }
        for queue in &mut queues {
            while let Some(chunk) = queue.pop() {
                out.extend(chunk);
            }
        }
        let mut messages = read_in_pieces(&out, piece);
        messages.sort_by_key(|message| message.payload[0]);
        let expected: Vec<_> = (4..)
            .zip(payloads)
            .map(|(id, (length, timestamp))| video(timestamp, vec![id; length]))
            .collect();
        prop_assert_eq!(messages, expected);
    }

    #[test]
    fn any_bytes_give_the_same_in_one_piece_and_in_many(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        piece in 1..20_usize,
    ) {
        let outcome = |piece| {
            let mut reader = ChunkReader::new();
            let mut messages = Vec::new();
            for mut bytes in bytes.chunks(piece) {
                loop {
                    match reader.read(&mut bytes) {
                        Ok(Some(message)) => messages.push(message),
                        Ok(None) => break,
                        Err(error) => return (messages, Some(error)),
                    }
                }
            }
            (messages, None)
        };
        prop_assert_eq!(outcome(bytes.len().max(1)), outcome(piece));
    }
}
