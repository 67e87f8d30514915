//! The ways to break a machine on purpose, which outside of tests do not exist.

/// Questions that `Settings` answers by its `mutation`: in tests one may say yes; elsewhere these are constants.
macro_rules! breaks {
    ($($name:ident = $mutation:ident),* $(,)?) => {
        impl Settings {
            $(
                #[cfg(test)]
                pub(crate) fn $name(&self) -> bool {
                    self.mutation == Some(Mutation::$mutation)
                }

                #[cfg(not(test))]
                #[inline]
                pub(crate) const fn $name(&self) -> bool {
                    false
                }
            )*
        }
    };
}

pub(crate) use breaks;
