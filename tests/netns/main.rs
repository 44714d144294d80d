//! Tests that need network namespaces, root or BPF.
