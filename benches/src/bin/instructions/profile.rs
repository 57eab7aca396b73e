//! Reads what callgrind wrote: costs by object, and calls from one object into another.
//!
//! ```text
//! ob=(1) /path/program       the object of what follows; later just ob=(1)
//! fn=(3) name                the function
//! 12 34                      line 12 cost 34 instructions itself
//! cob=(2) /lib/libc.so.6     the object called, if it is another one
//! cfn=(4) memcpy             the function called
//! calls=5 0                  how often
//! 12 678                     what the calls cost in all: not the function's own
//! ```

use std::collections::HashMap;

/// What a program did itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Instructions of its own.
    pub(crate) instructions: u64,
    /// Calls into libraries.
    pub(crate) calls: u64,
}

/// The share of `program` in a profile.
pub(crate) fn read(profile: &str, program: &str) -> Count {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut count = Count::default();
    let mut is_ours = false;
    // Of the call that comes next; without an object it stays within this one.
    let mut is_call_ours = None;
    let mut is_cost_of_calls = false;
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_ours = resolve(&mut names, object) == program;
        } else if let Some(object) = line.strip_prefix("cob=") {
            is_call_ours = Some(resolve(&mut names, object) == program);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let leaves = is_ours && !is_call_ours.take().unwrap_or(true);
            if leaves {
                count.calls += number(calls.split(' ').next());
            }
            is_cost_of_calls = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !core::mem::take(&mut is_cost_of_calls)
            && is_ours
        {
            count.instructions += number(line.split(' ').nth(1));
        }
    }
    count
}

fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// `(1) name` the first time, `(1)` after that.
fn resolve<'a>(names: &mut HashMap<&'a str, &'a str>, text: &'a str) -> &'a str {
    match text.split_once(' ') {
        Some((id, name)) => {
            names.insert(id, name);
            name
        }
        None => names.get(text).copied().unwrap_or(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_instructions_and_calls_away_are_told_apart() {
        let profile = "version: 1\nevents: Ir\n\nob=(1) /bin/p\nfl=(1) a.rs\nfn=(1) counted\n\
            10 5\n+1 7\ncfn=(2) helper\ncalls=3 20\n+1 300\n\
            cob=(2) /lib/libc.so.6\ncfi=(2) ???\ncfn=(3) memcpy\ncalls=4 0\n* 4000\n\
            fn=(2)\n20 11\n\n\
            ob=(2)\nfn=(3)\n0 3000\ncob=(1)\ncfn=(2)\ncalls=9 0\n0 1\n\n\
            ob=(1)\nfn=(4) other\n-3 13\ntotals: 3036\n";
        let expected = Count {
            instructions: 5 + 7 + 11 + 13,
            calls: 4,
        };
        assert_eq!(read(profile, "/bin/p"), expected);
        assert_eq!(read(profile, "/bin/q"), Count::default());
    }
}
