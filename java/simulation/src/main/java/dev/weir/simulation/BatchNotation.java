package dev.weir.simulation;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Batches as text: groups with a space between them, {@code D3x512} for three decoding requests
 * with a context of 512 tokens, {@code P2x100@64} for two that prefill 100 tokens with 64 in the
 * cache.
 */
public final class BatchNotation {
  private static final Pattern GROUP =
      Pattern.compile("D(\\d{1,6})x(\\d{1,9})|P(\\d{1,6})x(\\d{1,9})@(\\d{1,9})");

  private BatchNotation() {}

  /**
   * Fills a batch from its text.
   *
   * @throws IllegalArgumentException if the text is none, or a group has no request or a prefill no
   *     token
   */
  public static void read(String text, BatchShape batch) {
    batch.clear();
    for (String group : text.strip().split(" +")) {
      Matcher matcher = GROUP.matcher(group);
      if (!matcher.matches()) {
        throw new IllegalArgumentException(
            "'" + group + "' is no group of a batch; write D3x512 or P2x100@64");
      }
      boolean decode = matcher.group(1) != null;
      int count = Integer.parseInt(matcher.group(decode ? 1 : 3));
      int tokens = Integer.parseInt(matcher.group(decode ? 2 : 4));
      if (count == 0 || tokens == 0) {
        throw new IllegalArgumentException("'" + group + "' has no request or no token");
      }
      for (int i = 0; i < count; i++) {
        if (decode) {
          batch.addDecode(tokens);
        } else {
          batch.addPrefill(tokens, Integer.parseInt(matcher.group(5)));
        }
      }
    }
  }
}
