//! Hostile packages, one by one, and the real ones when there are some.
