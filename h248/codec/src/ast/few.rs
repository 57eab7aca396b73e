//! Lists that have one item nearly always.

use core::fmt;
use core::ops::Deref;

/// A list that has one item nearly always: that one stands in the tree itself.
#[derive(Clone)]
pub enum Few<T> {
    /// Just this.
    One(T),
    /// None or several; one is the same as [`Few::One`].
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// All items.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => core::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> From<T> for Few<T> {
    fn from(item: T) -> Self {
        Self::One(item)
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(items: Vec<T>) -> Self {
        Self::Many(items)
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Many(items.into_iter().collect())
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_is_a_list_of_one_item() {
        assert_eq!(Few::from(7), Few::from(vec![7]));
        assert_eq!(*Few::from(7), [7]);
        assert_ne!(Few::from(7), Few::default());
        assert_eq!(
            [7, 8].into_iter().collect::<Few<_>>(),
            Few::from(vec![7, 8])
        );
    }
}
