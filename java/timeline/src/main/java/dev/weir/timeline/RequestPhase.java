package dev.weir.timeline;

import java.util.Locale;

/** What a request does at a time. */
public enum RequestPhase {
  /** It has not computed anything yet. */
  WAITING(false),
  /** Its prompt is computed. */
  PREFILL(true),
  /** It has its first token and gets others. */
  DECODE(true),
  /** It lost its KV blocks and waits to be computed again. */
  EVICTED(false),
  /** Its KV blocks are in the swap space. */
  SWAPPED(false),
  /** What it has lost by an eviction is computed again. */
  RECOMPUTE(true);

  private final String label;
  private final boolean resident;

  RequestPhase(boolean resident) {
    this.resident = resident;
    label = name().toLowerCase(Locale.ROOT);
  }

  /** What its slice is called. */
  String label() {
    return label;
  }

  /** Whether the request holds blocks of the KV pool. */
  boolean resident() {
    return resident;
  }
}
