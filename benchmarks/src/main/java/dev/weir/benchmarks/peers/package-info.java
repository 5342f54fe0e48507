/**
 * Weir's CPU backend beside llama.cpp and Jlama, measured in turn in one run; {@code
 * benchmarks/peers/compare} starts it, {@code benchmarks/peers/README.md} says what is compared.
 */
package dev.weir.benchmarks.peers;
