//! Lists that have one item nearly always.

use core::fmt;
use core::mem;
use core::ops::{Deref, DerefMut};

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

    /// Adds an item behind the others.
    pub fn push(&mut self, item: T) {
        if self.is_empty() {
            *self = Self::One(item);
        } else {
            self.as_list().push(item);
        }
    }

    /// Takes the last item.
    pub fn pop(&mut self) -> Option<T> {
        match mem::take(self) {
            Self::One(item) => Some(item),
            Self::Many(mut items) => {
                let item = items.pop();
                *self = Self::Many(items);
                item
            }
        }
    }

    /// The list that several items stand in, made if there is none yet.
    pub(crate) fn as_list(&mut self) -> &mut Vec<T> {
        if let Self::One(_) = self {
            let items = mem::take(self).into_iter().collect();
            *self = Self::Many(items);
        }
        match self {
            Self::Many(items) => items,
            Self::One(_) => unreachable!("it is made a list above"),
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::One(item) => core::slice::from_mut(item),
            Self::Many(items) => items,
        }
    }
}

impl<T> Default for Few<T> {
    #[inline(always)]
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
        let mut few = Self::default();
        few.extend(items);
        few
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push(item);
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = core::iter::Chain<core::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, items) = match self {
            Self::One(item) => (Some(item), Vec::new()),
            Self::Many(items) => (None, items),
        };
        one.into_iter().chain(items)
    }
}

impl<'a, T> IntoIterator for &'a mut Few<T> {
    type Item = &'a mut T;
    type IntoIter = core::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
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

    #[test]
    fn it_grows_and_shrinks_like_a_list() {
        let (mut few, mut list) = (Few::default(), Vec::new());
        for item in 0..4 {
            few.push(item);
            list.push(item);
            few.iter_mut().chain(&mut list).for_each(|item| *item += 1);
            assert_eq!(few.as_slice(), list);
            assert_eq!(few.clone().into_iter().collect::<Vec<_>>(), list);
        }
        while !list.is_empty() {
            assert_eq!(few.pop(), list.pop());
            assert_eq!(few.as_slice(), list);
        }
        assert_eq!(few.pop(), None);
        few.push(1);
        assert_eq!(few.pop(), Some(1));
        assert!(few.is_empty());
    }
}
