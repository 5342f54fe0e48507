/**
 * Estimates made while serving: how long outputs are, how fast requests arrive. Allocation-free in
 * a steady state; no clock, time is passed in.
 */
package dev.weir.scheduling.estimate;
