package dev.weir.simulation;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;

/**
 * SHA-256 over one line {@code seconds,promptTokens,outputTokens} a request, seconds with six
 * decimals: two workloads with the same sum are the same load. Not thread-safe.
 */
public final class WorkloadDigest {
  private final MessageDigest digest;

  /** Begins with no request. */
  public WorkloadDigest() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every JDK has SHA-256", e);
    }
  }

  /** Adds the next request. */
  public void add(Arrival arrival) {
    String line =
        String.format(
            Locale.ROOT,
            "%.6f,%d,%d\n",
            arrival.seconds(),
            arrival.promptTokens(),
            arrival.outputTokens());
    digest.update(line.getBytes(StandardCharsets.US_ASCII));
  }

  /** The sum in hexadecimal. Begins anew afterwards. */
  public String hex() {
    return HexFormat.of().formatHex(digest.digest());
  }
}
