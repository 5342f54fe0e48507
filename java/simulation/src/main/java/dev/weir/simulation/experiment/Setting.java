package dev.weir.simulation.experiment;

/**
 * One thing that describes how an experiment was run, such as the SHA-256 of a workload.
 *
 * @param label what it is
 * @param value what it was
 */
public record Setting(String label, String value) {}
