/**
 * Capacity planning: what of a device's memory is left for keys and values, and which load that
 * memory carries in the fluid model.
 */
package dev.weir.cli.plan;
