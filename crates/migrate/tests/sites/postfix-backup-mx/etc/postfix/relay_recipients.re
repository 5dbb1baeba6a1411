/^ticket-[0-9]+@brinewell\.example$/  x
/@.*\.tidepool\.example$/             x
