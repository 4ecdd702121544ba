//! Answers whose bytes the kernel takes out of a file (`sendfile(2)`): nobody reads them into memory, but for many short ranges
//! in a row, which are gathered.
//!
//! ```text
//! FileBody -> Sending -> stand-ins -> hyper -> FileSocket -> sendfile
//!                '-------- pieces -> Outbox -----^
//! ```
//!
//! hyper sends what is in memory. So a body gives it stand-ins: slices of one constant, as long as the pieces of the file that
//! are meant, and the socket sends a piece where a stand-in is to be written. All else stays hyper's: heads, lengths, order,
//! what follows on the connection; and pacing counts as it does for any answer.
//!
//! **Invariant:** a stand-in never leaves. hyper writes the slices that it is given and copies none, as long as its socket
//! takes many at once; stand-ins for more than there is to be sent, or for less, end the connection.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Frame, SizeHint};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::socket::Socket;

/// What a response's body is made of: among the response's extensions, it is sent in place of the body, where its length is
/// what the response says that it is. The body has the same bytes, for connections that cannot do so.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// What comes first.
    pub head: Bytes,
    /// The file that the rest is in. What is in `ranges` does not change.
    pub file: Arc<File>,
    /// What of it comes then, in this order.
    pub ranges: Vec<Range<u64>>,
}

/// What of files is to be written to a connection, in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Mutex<VecDeque<Piece>>>);

#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    range: Range<u64>,
}

/// A connection that hyper writes to: pieces of its outbox where stand-ins are, and anything else as it is.
#[derive(Debug)]
pub(crate) struct FileSocket {
    socket: Socket,
    outbox: Outbox,
}

/// A body of stand-ins.
struct Sending {
    outbox: Outbox,
    head: Bytes,
    file: Arc<File>,
    ranges: VecDeque<Range<u64>>,
    /// Bytes that were not handed out.
    left: u64,
    /// What of the file the page cache has.
    cached: Range<u64>,
    /// Waits for the disk, so that the kernel need not where others would wait with it.
    reading: Option<JoinHandle<io::Result<Range<u64>>>>,
    /// The body that this is sent in place of: it has what ends with the answer.
    _instead_of: Body,
}

impl Outbox {
    /// Has a response's body sent out of a file where it is in one.
    pub(crate) fn take_over(&self, mut response: Response<Body>) -> Response<Body> {
        let Some(FileBody { head, file, ranges }) = response.extensions_mut().remove() else { return response };
        let ranges: VecDeque<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        let left = head.len() as u64 + ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        if response.headers().get(header::CONTENT_LENGTH) != Some(&HeaderValue::from(left)) {
            return response;
        }
        let (outbox, cached, reading) = (self.clone(), 0..0, None);
        response.map(|body| Body::new(Sending { outbox, head, file, ranges, left, cached, reading, _instead_of: body }))
    }

    fn pieces(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        // It is never left half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends so many bytes of the pieces, or as many as the socket takes.
    fn send(&self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let (mut pieces, mut sent) = (self.pieces(), 0);
        let several = pieces.front().is_some_and(|piece| piece.length() < most);
        if several {
            SockRef::from(stream).set_tcp_cork(true)?;
        }
        let outcome = loop {
            if sent == most {
                break Ok(sent);
            }
            let Some(piece) = pieces.front_mut() else { break Err(out_of_step()) };
            let wanted = piece.length().min(most - sent);
            match send(stream, &piece.file, piece.range.start, wanted) {
                // It was cut short after it was opened.
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(took) => {
                    sent += took;
                    piece.range.start += took as u64;
                    if piece.range.is_empty() {
                        pieces.pop_front();
                    } else {
                        break Ok(sent);
                    }
                }
                Err(_) if sent > 0 => break Ok(sent), // it is met again with the next write
                Err(error) => break Err(error),
            }
        };
        if several {
            SockRef::from(stream).set_tcp_cork(false)?;
        }
        outcome
    }
}

impl Piece {
    fn length(&self) -> usize {
        usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX)
    }
}

impl FileSocket {
    pub(crate) fn new(socket: Socket, outbox: Outbox) -> Self {
        Self { socket, outbox }
    }

    pub(crate) fn into_inner(self) -> Socket {
        self.socket
    }

    fn poll_send(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            match self.socket.try_io(Interest::WRITABLE, || send(&self.socket)) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncRead for FileSocket {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buf)
    }
}

impl AsyncWrite for FileSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let plain = bufs.iter().take_while(|buf| !is_stand_in(buf)).count();
        let (plain, rest) = bufs.split_at(plain);
        let stood_for = rest.iter().take_while(|buf| is_stand_in(buf)).map(|buf| buf.len()).sum();
        match (plain, stood_for) {
            (plain, 0) => Pin::new(&mut self.socket).poll_write_vectored(context, plain),
            ([], most) => self.poll_send(context, |stream| self.outbox.send(stream, most)),
            // What follows goes into the same packets.
            (plain, _) => {
                self.poll_send(context, |stream| SockRef::from(stream).send_vectored_with_flags(plain, MSG_MORE))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outbox.pieces().is_empty() {
            return Poll::Ready(Err(out_of_step()));
        }
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Sending {
    /// Sees to it that the page cache has what is at `offset` and after it.
    fn poll_cached(&mut self, context: &mut Context<'_>, offset: u64) -> Poll<io::Result<()>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(context));
                self.reading = None;
                self.cached = read.map_err(io::Error::other)??;
            }
            if self.cached.contains(&offset) {
                return Poll::Ready(Ok(()));
            }
            // A segment's ranges lie close together: what is between them is read as well.
            let last = self.ranges.iter().map(|range| range.end).max().unwrap_or(offset);
            let window = offset..last.min(offset + PIECE as u64);
            if is_cached(&self.file, &window) {
                self.cached = window;
            } else {
                let file = Arc::clone(&self.file);
                self.reading = Some(tokio::task::spawn_blocking(move || read_all(&file, window)));
            }
        }
    }

    /// Reads ranges where many short ones follow each other: a call for each would cost more than their bytes. Nothing where
    /// they are not, or not in the page cache.
    fn poll_gather(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut gathered = Vec::new();
        if self.ranges.len() < MANY || !self.ranges.iter().take(MANY).all(is_short) {
            return Poll::Ready(Ok(Bytes::new()));
        }
        while let Some(range) = self.ranges.front().filter(|range| is_short(range)).cloned() {
            match self.poll_cached(context, range.start) {
                Poll::Pending if !gathered.is_empty() => break,
                outcome => ready!(outcome)?,
            }
            let (at, length) = (gathered.len(), (range.end - range.start) as usize); // it is short
            if at + length > COPIED || range.end > self.cached.end {
                break;
            }
            gathered.resize(at + length, 0);
            self.file.read_exact_at(&mut gathered[at..], range.start)?;
            self.ranges.pop_front();
        }
        Poll::Ready(Ok(gathered.into()))
    }

    /// Puts what the page cache has of the next ranges into the outbox, as much as a stand-in stands for; so many bytes.
    fn hand_out(&mut self) -> usize {
        let (outbox, mut length) = (self.outbox.clone(), 0);
        let mut pieces = outbox.pieces();
        while let Some(range) = self.ranges.front_mut().filter(|range| self.cached.contains(&range.start)) {
            let end = range.end.min(self.cached.end).min(range.start + (PIECE - length) as u64);
            let piece = Piece { file: Arc::clone(&self.file), range: range.start..end };
            range.start = end;
            if range.is_empty() {
                self.ranges.pop_front();
            }
            length += piece.length();
            pieces.push_back(piece);
            if length == PIECE {
                break;
            }
        }
        length
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            self.left -= head.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        match ready!(self.poll_gather(context)) {
            Ok(gathered) if gathered.is_empty() => {}
            gathered => {
                self.left -= gathered.as_ref().map_or(0, |gathered| gathered.len() as u64);
                return Poll::Ready(Some(gathered.map(Frame::data)));
            }
        }
        let Some(first) = self.ranges.front().map(|range| range.start) else { return Poll::Ready(None) };
        if let Err(error) = ready!(self.poll_cached(context, first)) {
            return Poll::Ready(Some(Err(error)));
        }
        let length = self.hand_out();
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&STAND_IN[..length])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Whoever sees this on the network has found a defect.
static STAND_IN: [u8; PIECE] = [b'?'; PIECE];

fn is_stand_in(buf: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&buf.as_ptr())
}

fn is_short(range: &Range<u64>) -> bool {
    range.end - range.start <= SHORT
}

fn out_of_step() -> io::Error {
    io::Error::other("what is to be sent of a file does not agree with what is written")
}

/// Sends bytes of a file, as many as the socket takes.
#[cfg(target_os = "linux")]
fn send(stream: &TcpStream, file: &File, mut offset: u64, most: usize) -> io::Result<usize> {
    use rustix::io::Errno;

    let from = offset;
    match rustix::fs::sendfile(stream, file, Some(&mut offset), most) {
        // Not all file systems can.
        Err(Errno::INVAL | Errno::NOSYS) => copy(stream, file, from, most),
        outcome => Ok(outcome?),
    }
}

#[cfg(not(target_os = "linux"))]
use copy as send;

/// Does the same by way of memory.
fn copy(stream: &TcpStream, file: &File, offset: u64, most: usize) -> io::Result<usize> {
    let mut buffer = vec![0; most.min(COPIED)];
    match file.read_at(&mut buffer, offset)? {
        0 => Ok(0),
        read => SockRef::from(stream).send(&buffer[..read]),
    }
}

/// Whether the page cache has the ends of a range, as it mostly has what is between them then.
#[cfg(target_os = "linux")]
fn is_cached(file: &File, range: &Range<u64>) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};

    let has = |offset| {
        let mut byte = [0];
        preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT) == Ok(1)
    };
    has(range.start) && has(range.end.saturating_sub(1))
}

/// Nothing is known of the page cache.
#[cfg(not(target_os = "linux"))]
fn is_cached(_: &File, _: &Range<u64>) -> bool {
    false
}

/// Reads a range, so that the page cache has it.
fn read_all(file: &File, range: Range<u64>) -> io::Result<Range<u64>> {
    let (mut buffer, mut offset) = (vec![0; COPIED], range.start);
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset).map_or(COPIED, |left| left.min(COPIED));
        match file.read_at(&mut buffer[..wanted], offset) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => offset += read as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(range)
}

/// Bytes of a file that a stand-in stands for at most.
const PIECE: usize = 256 << 10;
/// So many bytes are read and written sooner than they are sent by a call of their own, where so many ranges are no longer.
const SHORT: u64 = 4 << 10;
const MANY: usize = 8;
/// Bytes that are copied at once, where some are.
const COPIED: usize = 64 << 10;
/// More follows: do not send a packet for this alone (`MSG_MORE` of Linux; elsewhere nothing is said).
const MSG_MORE: i32 = if cfg!(target_os = "linux") { 0x8000 } else { 0 };

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "file_body_tests.rs"]
mod tests;
