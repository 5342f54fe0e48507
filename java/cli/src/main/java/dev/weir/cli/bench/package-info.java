/** Drives an engine with a workload, records what happened, and condenses it to figures. */
package dev.weir.cli.bench;
