package dev.weir.cli.report;

/**
 * One thing that describes a run, such as the model or the seed.
 *
 * @param label what it is
 * @param value what it was
 */
public record Fact(String label, String value) {}
