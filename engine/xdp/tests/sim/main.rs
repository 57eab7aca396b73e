//! Two stacks over a link that loses, repeats, reorders and delays, from a seed.
//!
//! `SIM_SEED=n` runs one seed, `SIM_RUNS=n` more of them.

#[cfg(test)]
mod link;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod transfer;
