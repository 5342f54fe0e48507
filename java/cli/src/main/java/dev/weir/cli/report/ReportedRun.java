package dev.weir.cli.report;

import dev.weir.cli.bench.RunResult;
import dev.weir.simulation.metrics.Metrics;
import java.util.OptionalDouble;

/**
 * A run with what the theory says about it.
 *
 * @param result what happened
 * @param metrics the same, condensed
 * @param bufferTokens KV tokens that the scheduler keeps free against overflow, if it keeps any
 * @param equilibriumTokens KV tokens in use in the fluid equilibrium, if there is one below the
 *     capacity
 */
public record ReportedRun(
    RunResult result,
    Metrics metrics,
    OptionalDouble bufferTokens,
    OptionalDouble equilibriumTokens) {}
