package dev.weir.cli;

/**
 * What a workload is like, known before it is served.
 *
 * @param name where it comes from
 * @param requests number of requests
 * @param badRows rows of the trace that are no requests
 * @param rate requests a second over the arrival window; infinite if all come at once
 * @param sha256 see {@link dev.weir.simulation.WorkloadDigest}
 * @param promptTokens lengths of the first requests
 * @param outputTokens lengths of the first requests
 */
record WorkloadFacts(
    String name,
    long requests,
    long badRows,
    double rate,
    String sha256,
    int[] promptTokens,
    int[] outputTokens) {}
