/**
 * The fluid theory: equilibrium, thresholds, boundaries, safety buffers. Computed before or between
 * decisions, never inside one.
 */
package dev.weir.scheduling.fluid;
