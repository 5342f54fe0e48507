/** The conformance kit: what every {@link dev.weir.scheduling.Scheduler} can be run through. */
package dev.weir.testkit;
