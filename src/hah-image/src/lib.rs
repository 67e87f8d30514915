//! hah-image
