//! The binary interface between the kernel programs and userspace.
#![no_std]
