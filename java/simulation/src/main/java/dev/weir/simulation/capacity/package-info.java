/** Which load a pool carries in the fluid model, given how long iterations take. */
package dev.weir.simulation.capacity;
