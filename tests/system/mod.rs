//! `system df`, `system prune`, `info`, `doctor`: commands about all there is.

mod df;
mod doctor;
mod info;
