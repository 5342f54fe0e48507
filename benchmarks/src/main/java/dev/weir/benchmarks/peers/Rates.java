package dev.weir.benchmarks.peers;

/**
 * What an engine reached at a point.
 *
 * @param prompt tokens a second of the prompt
 * @param decode tokens a second of all sequences together
 */
record Rates(double prompt, double decode) {}
