/**
 * Workloads of {@code weir bench}: recorded traces, and lengths and arrivals drawn from seeded
 * distributions.
 */
package dev.weir.cli.workload;
