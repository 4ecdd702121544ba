/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Most items.
    pub limit: u32,
    /// The cursor that the page before gave.
    pub after: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
}

impl PageRequest {
    /// Rows to ask for: one more than wanted says whether there are more.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// The cursor of a list in rising order, for `id > $n`.
    pub(crate) fn above(&self) -> &str {
        self.after.as_deref().unwrap_or("")
    }

    /// The cursor of a list in falling order, for `id < $n`: `~` is above every id.
    pub(crate) fn below(&self) -> &str {
        self.after.as_deref().unwrap_or("~")
    }

    /// The cursor of a list in falling order of a number and then of ids, for `(number, id) < ($n, $m)`. It holds the number
    /// itself: the item that it stands for may have gone meanwhile.
    /// What is no cursor has nothing below it.
    pub(crate) fn below_ranked(&self) -> (i64, &str) {
        let Some(cursor) = self.after.as_deref() else { return (i64::MAX, "~") };
        let read = cursor.split_once(':').and_then(|(number, id)| Some((number.parse().ok()?, id)));
        read.unwrap_or((i64::MIN, ""))
    }

    /// What [`Self::below_ranked`] reads.
    pub(crate) fn ranked(number: i64, id: &str) -> String {
        format!("{number}:{id}")
    }

    pub(crate) fn page<T>(&self, items: Vec<T>, cursor: impl Fn(&T) -> &str) -> Page<T> {
        self.page_from(items, |item| cursor(item).to_owned())
    }

    pub(crate) fn page_from<T>(&self, mut items: Vec<T>, cursor: impl Fn(&T) -> String) -> Page<T> {
        let limit = self.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Page { items, next }
    }
}
