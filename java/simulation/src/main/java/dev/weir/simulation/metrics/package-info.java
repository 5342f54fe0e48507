/** What a run comes to: latencies, throughput, goodput, and whether it keeps up with the load. */
package dev.weir.simulation.metrics;
