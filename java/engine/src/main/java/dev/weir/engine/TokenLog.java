package dev.weir.engine;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * The tokens of a generation, in columns: adding one makes no object, reading one does. One thread
 * adds, any thread reads.
 */
final class TokenLog {
  private static final int FIRST_CAPACITY = 16;
  private static final TokenLogProbability[] NONE = {};
  private static final VarHandle COUNT;

  static {
    try {
      COUNT = MethodHandles.lookup().findVarHandle(TokenLog.class, "count", int.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /**
   * A place for each token.
   *
   * @param texts null where the text is that of the vocabulary; null altogether if all are
   * @param tops null altogether if no token has any
   */
  private record Columns(
      int[] ids,
      float[] logProbabilities,
      long[] nanoTimes,
      String[] texts,
      TokenLogProbability[][] tops) {
    static Columns empty() {
      return new Columns(
          new int[FIRST_CAPACITY], new float[FIRST_CAPACITY], new long[FIRST_CAPACITY], null, null);
    }

    Columns enlarged() {
      int capacity = 2 * ids.length;
      return new Columns(
          Arrays.copyOf(ids, capacity),
          Arrays.copyOf(logProbabilities, capacity),
          Arrays.copyOf(nanoTimes, capacity),
          texts == null ? null : Arrays.copyOf(texts, capacity),
          tops == null ? null : Arrays.copyOf(tops, capacity));
    }

    Columns withTexts() {
      return new Columns(ids, logProbabilities, nanoTimes, new String[ids.length], tops);
    }

    Columns withTops() {
      return new Columns(
          ids, logProbabilities, nanoTimes, texts, new TokenLogProbability[ids.length][]);
    }
  }

  private final IntFunction<String> vocabulary;
  private volatile Columns columns = Columns.empty();
  private volatile int count;

  /**
   * @param vocabulary the text of a token that is whole characters by itself; null for others
   */
  TokenLog(IntFunction<String> vocabulary) {
    this.vocabulary = vocabulary;
  }

  /**
   * Adds a token. Without the fence of a volatile store: whoever then asks whether somebody waits
   * for it puts a full fence in between, one for a whole batch.
   */
  void add(int id, String text, float logProbability, TokenLogProbability[] top, long nanoTime) {
    int index = count;
    Columns room = columns;
    boolean ownText = !text.equals(textOf(id));
    if (index == room.ids.length
        || (ownText && room.texts == null)
        || (top.length > 0 && room.tops == null)) {
      room = index == room.ids.length ? room.enlarged() : room;
      room = ownText && room.texts == null ? room.withTexts() : room;
      room = top.length > 0 && room.tops == null ? room.withTops() : room;
      columns = room;
    }
    room.ids[index] = id;
    room.logProbabilities[index] = logProbability;
    room.nanoTimes[index] = nanoTime;
    if (ownText) {
      room.texts[index] = text;
    }
    if (top.length > 0) {
      room.tops[index] = top;
    }
    COUNT.setRelease(this, index + 1);
  }

  int count() {
    return count;
  }

  /** The token at {@code index}, which is less than {@link #count}. */
  GeneratedToken get(int index) {
    Columns room = columns;
    int id = room.ids[index];
    String text = room.texts == null ? null : room.texts[index];
    TokenLogProbability[] top = room.tops == null ? null : room.tops[index];
    return new GeneratedToken(
        id,
        text == null ? textOf(id) : text,
        room.logProbabilities[index],
        List.of(top == null ? NONE : top),
        room.nanoTimes[index]);
  }

  private String textOf(int id) {
    String text = vocabulary.apply(id);
    return text == null ? "" : text;
  }
}
