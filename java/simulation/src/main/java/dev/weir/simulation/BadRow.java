package dev.weir.simulation;

/**
 * A row of a trace that was left out.
 *
 * @param line line of the file on which the row starts, from 1
 * @param reason what is wrong with it, naming the value
 */
public record BadRow(long line, String reason) {}
