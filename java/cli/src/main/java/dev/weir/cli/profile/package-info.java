/** Measures how long batches take on a device, for {@code weir profile}. */
package dev.weir.cli.profile;
