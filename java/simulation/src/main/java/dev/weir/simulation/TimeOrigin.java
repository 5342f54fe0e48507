package dev.weir.simulation;

/** From when the times of a trace count. */
public enum TimeOrigin {
  /** From the first good row, which is at 0. */
  FIRST_ROW,
  /** As the file has them; from the first good row if it has dates. */
  AS_WRITTEN
}
