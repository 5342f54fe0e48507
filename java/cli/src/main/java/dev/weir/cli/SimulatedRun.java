package dev.weir.cli;

import dev.weir.cli.report.RunChart;
import dev.weir.simulation.metrics.Metrics;
import java.util.List;
import java.util.Optional;

/**
 * One scheduler's simulation.
 *
 * @param scheduler its name
 * @param options its settings
 * @param metrics what came out
 * @param refused the first few refused requests, with the reason
 * @param wallSeconds what the simulation itself took
 * @param chart what a page shows of it, if a page was asked for
 */
record SimulatedRun(
    String scheduler,
    String options,
    Metrics metrics,
    List<String> refused,
    double wallSeconds,
    Optional<RunChart> chart) {}
