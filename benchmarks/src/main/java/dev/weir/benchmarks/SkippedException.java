package dev.weir.benchmarks;

/**
 * Ends the run of one combination of parameters that this machine cannot run: a device, a precision
 * or memory that it lacks. JMH prints the message and goes on with the next one.
 */
final class SkippedException extends RuntimeException {
  SkippedException(String reason) {
    // JMH prints whatever trace there is; where in the setup it happened tells the reader nothing.
    super("skipped: " + reason, null, false, false);
  }
}
