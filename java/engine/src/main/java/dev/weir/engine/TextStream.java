package dev.weir.engine;

import dev.weir.engine.tokenizer.StreamingDecoder;
import java.util.List;

/** Turns the tokens of one generation into text and looks for stop strings in it. */
final class TextStream {
  private final StreamingDecoder decoder;
  private final List<String> stops;
  private final StringBuilder held = new StringBuilder();
  private boolean stopped;

  TextStream(StreamingDecoder decoder, List<String> stops) {
    this.decoder = decoder;
    this.stops = stops;
  }

  /**
   * The text that {@code token} releases: complete characters that cannot belong to a stop string.
   */
  String append(int token) {
    String text = decoder.append(token);
    if (stops.isEmpty() || text.isEmpty()) {
      return text;
    }
    held.append(text);
    cutAtStop();
    int released = stopped ? held.length() : held.length() - undecided();
    return release(released);
  }

  /** The rest of the text, when no more tokens come. */
  String finish() {
    held.append(decoder.finish());
    cutAtStop();
    return release(held.length());
  }

  /** Whether a stop string came; nothing that was released, or ever will be, is part of it. */
  boolean stopped() {
    return stopped;
  }

  private void cutAtStop() {
    int cut = -1;
    for (String stop : stops) {
      int index = held.indexOf(stop);
      if (index >= 0 && (cut < 0 || index < cut)) {
        cut = index;
      }
    }
    if (cut >= 0) {
      stopped = true;
      held.setLength(cut);
    }
  }

  /** Length of the longest end of the held text that a stop string begins with. */
  private int undecided() {
    int longest = 0;
    for (String stop : stops) {
      for (int length = Math.min(stop.length() - 1, held.length()); length > longest; length--) {
        if (endsWithPrefix(stop, length)) {
          longest = length;
        }
      }
    }
    return longest;
  }

  private boolean endsWithPrefix(String stop, int length) {
    int offset = held.length() - length;
    for (int i = 0; i < length; i++) {
      if (held.charAt(offset + i) != stop.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private String release(int length) {
    String text = held.substring(0, length);
    held.delete(0, length);
    return text;
  }
}
