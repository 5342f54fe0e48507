package dev.weir.engine;

/** What closing an engine does to the requests that it has accepted. */
public enum CloseMode {
  /** They are completed, as far as the deadline allows; what is left then is cancelled. */
  DRAIN,
  /** They end at once with {@link FinishReason#CANCELLED}. */
  CANCEL
}
