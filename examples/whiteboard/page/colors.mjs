// The eight colours, of objects and of people alike. What they look like says the style sheet.

export const colorNames = ["Slate", "Red", "Orange", "Yellow", "Green", "Teal", "Blue", "Violet"];

export const colorCount = colorNames.length;
