//! The one instruction that the standard library has not for this target. Must not know: what is counted.

/// Adds to a word, all CPUs at once.
///
/// # Safety
/// `word` must be valid and aligned.
#[inline(always)]
pub unsafe fn atomic_add(word: *mut u64, amount: u64) {
    // SAFETY: the caller's; the instruction touches nothing else.
    unsafe {
        core::arch::asm!("lock *(u64 *)({word} + 0) += {amount}", word = in(reg) word, amount = in(reg) amount, options(nostack))
    }
}
