package dev.weir.cli.plan;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * A GPU as its maker describes it. Memory is what {@code nvidia-smi} reports as the total of A100
 * and H100 (github.com/modal-labs/modal-client, pull request 2797), and about what the H200 of this
 * project's test machine reports. Bandwidth and matrix rate (dense, 16-bit floats) are those of
 * NVIDIA's data sheets of the SXM boards; nothing here was measured.
 */
public enum KnownDevice {
  A100_40GB(40_960, 1.555e12, 312e12),
  A100_80GB(81_920, 2.039e12, 312e12),
  H100_80GB(81_559, 3.35e12, 989e12),
  H200(139 * 1024, 4.8e12, 989e12);

  private final long mebibytes;
  private final double bytesPerSecond;
  private final double flopsPerSecond;

  KnownDevice(long mebibytes, double bytesPerSecond, double flopsPerSecond) {
    this.mebibytes = mebibytes;
    this.bytesPerSecond = bytesPerSecond;
    this.flopsPerSecond = flopsPerSecond;
  }

  /** The device of this name, in any case. */
  public static Optional<KnownDevice> of(String name) {
    return Arrays.stream(values())
        .filter(d -> d.id().equals(name.toLowerCase(Locale.ROOT)))
        .findAny();
  }

  /** Its name in options. */
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Bytes of device memory. */
  public long memoryBytes() {
    return mebibytes << 20;
  }

  /** Peak bandwidth of the memory, bytes a second. */
  public double bytesPerSecond() {
    return bytesPerSecond;
  }

  /** Peak rate of dense 16-bit matrix products, operations a second. */
  public double flopsPerSecond() {
    return flopsPerSecond;
  }
}
