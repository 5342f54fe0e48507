package dev.weir.cli.plan;

/** How weights, or keys and values, are stored. */
public enum NumberFormat {
  FP32(4),
  FP16(2),
  BF16(2),
  FP8(1);

  private final int bytes;

  NumberFormat(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of a number. */
  public int bytes() {
    return bytes;
  }
}
