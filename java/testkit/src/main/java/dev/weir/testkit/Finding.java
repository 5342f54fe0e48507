package dev.weir.testkit;

/**
 * A broken rule.
 *
 * @param property the rule
 * @param message what happened
 * @param stopped whether the run could not go on
 * @param cause the exception that the scheduler threw, or null
 */
record Finding(ConformanceProperty property, String message, boolean stopped, Throwable cause) {}
