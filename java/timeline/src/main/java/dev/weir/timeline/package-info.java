/**
 * What an engine or a simulation did, over time, for Perfetto (ui.perfetto.dev) and
 * chrome://tracing.
 */
package dev.weir.timeline;
