/** How the time of an iteration is measured on a device: which batches, the fit, and its file. */
package dev.weir.simulation.measured;
