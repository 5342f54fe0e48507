package dev.weir.simulation;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

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
   * The groups of a batch.
   *
   * @throws IllegalArgumentException if the text is none, or a group has no request or a prefill no
   *     token
   */
  public static List<BatchGroup> parse(String text) {
    List<BatchGroup> groups = new ArrayList<>();
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
      groups.add(
          decode
              ? BatchGroup.decoding(count, tokens)
              : BatchGroup.prefilling(count, tokens, Integer.parseInt(matcher.group(5))));
    }
    return groups;
  }

  /**
   * Fills a batch from its text.
   *
   * @throws IllegalArgumentException as {@link #parse}
   */
  public static void read(String text, BatchShape batch) {
    batch.clear();
    parse(text).forEach(group -> group.addTo(batch));
  }

  /** The text of a batch. */
  public static String write(List<BatchGroup> groups) {
    return groups.stream().map(BatchGroup::toString).collect(Collectors.joining(" "));
  }

  /** The sums over a batch. */
  public static BatchShape shape(List<BatchGroup> groups) {
    BatchShape batch = new BatchShape();
    groups.forEach(group -> group.addTo(batch));
    return batch;
  }
}
