//! Tables of cases for the kernel.
