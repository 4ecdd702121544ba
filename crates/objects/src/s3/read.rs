use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};

use super::S3;
use crate::Error;

/// An object of a bucket that is read at any place.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFile {
    s3: Arc<S3>,
    path: Path,
}

impl RemoteFile {
    pub(super) fn new(s3: Arc<S3>, path: Path) -> Self {
        Self { s3, path }
    }

    /// Reads a range that is within the object.
    pub(crate) async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.s3.store.get_range(&self.path, range).await.map_err(|error| self.s3.wrong(error))
    }

    /// Reads ranges that are within the object and not empty: those near each other with one request.
    pub(crate) fn stream(&self, ranges: Vec<Range<u64>>) -> BoxStream<'static, Result<Bytes, Error>> {
        let file = self.clone();
        stream::iter(spans(ranges))
            .then(move |span| {
                let file = file.clone();
                async move { file.span(span).await }
            })
            .try_flatten()
            .boxed()
    }

    async fn span(&self, span: Span) -> Result<BoxStream<'static, Result<Bytes, Error>>, Error> {
        let options = GetOptions::new().with_range(Some(span.whole.clone()));
        let found = self.s3.store.get_opts(&self.path, options).await.map_err(|error| self.s3.wrong(error))?;
        let s3 = Arc::clone(&self.s3);
        let mut cut = Cut { at: span.whole.start, parts: span.parts };
        let chunks = found.into_stream().map_ok(move |chunk| stream::iter(cut.next(&chunk).into_iter().map(Ok)));
        Ok(chunks.try_flatten().map_err(move |error| s3.wrong(error)).boxed())
    }
}

/// Ranges that are read at once, with what lies between them.
#[derive(Debug, PartialEq)]
struct Span {
    whole: Range<u64>,
    parts: VecDeque<Range<u64>>,
}

/// Puts ranges together that follow each other closely. Their order stays.
fn spans(ranges: Vec<Range<u64>>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for range in ranges {
        match spans.last_mut() {
            Some(span) if range.start.checked_sub(span.whole.end).is_some_and(|gap| gap <= MAX_GAP) => {
                span.whole.end = range.end;
                span.parts.push_back(range);
            }
            _ => spans.push(Span { whole: range.clone(), parts: [range].into() }),
        }
    }
    spans
}

/// Cuts what is asked for out of the chunks of a span.
struct Cut {
    /// Where the next chunk begins.
    at: u64,
    parts: VecDeque<Range<u64>>,
}

impl Cut {
    fn next(&mut self, chunk: &Bytes) -> Vec<Bytes> {
        let (start, end) = (self.at, self.at + chunk.len() as u64);
        self.at = end;
        let mut pieces = Vec::new();
        while let Some(part) = self.parts.front_mut().filter(|part| part.start < end) {
            // Both are within the chunk.
            let (from, to) = ((part.start - start) as usize, (part.end.min(end) - start) as usize);
            pieces.push(chunk.slice(from..to));
            part.start = part.end.min(end);
            if part.is_empty() {
                self.parts.pop_front();
            }
        }
        pieces
    }
}

/// Bytes that are read and thrown away rather than another request sent: about what comes while one is answered.
const MAX_GAP: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_near_each_other_are_one_request() {
        let far = 20 + MAX_GAP;
        let spans = spans(vec![0..10, 10..20, far..far + 1, far + 2 + MAX_GAP..far + 3 + MAX_GAP, 5..6]);
        let wholes: Vec<_> = spans.iter().map(|span| span.whole.clone()).collect();
        assert_eq!(wholes, [0..far + 1, far + 2 + MAX_GAP..far + 3 + MAX_GAP, 5..6]);
        assert_eq!(spans[0].parts, [0..10, 10..20, far..far + 1]);
    }

    #[test]
    fn parts_are_cut_out_wherever_chunks_end() {
        let whole: Vec<u8> = (0..100).collect();
        let parts = [3..4, 4..10, 30..70, 99..100];
        let expected: Vec<u8> = parts.iter().flat_map(|part| part.clone().map(|at| at as u8)).collect();
        for size in 1..=97 {
            let mut cut = Cut { at: 3, parts: parts.clone().into() };
            let pieces: Vec<_> =
                whole[3..].chunks(size).flat_map(|chunk| cut.next(&Bytes::copy_from_slice(chunk))).collect();
            assert_eq!(pieces.concat(), expected, "{size}");
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
    }
}
