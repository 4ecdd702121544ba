use std::sync::Arc;

use bytes::Bytes;

/// What a request is answered with: shared bytes in one or several pieces, to be sent one after the
/// other. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Content {
    pieces: Arc<[Bytes]>,
    len: usize,
}

impl Content {
    /// The pieces in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True where there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All pieces in memory of their own.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl FromIterator<Bytes> for Content {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Self {
        let pieces: Arc<[Bytes]> = pieces.into_iter().collect();
        Self { len: pieces.iter().map(Bytes::len).sum(), pieces }
    }
}

impl From<Bytes> for Content {
    fn from(whole: Bytes) -> Self {
        Self { len: whole.len(), pieces: Arc::new([whole]) }
    }
}
